/**
 * One machine of a multicast, as a process of its own: `node run-cast.ts '{"role":"sender"|"receiver",…}'`. It prints JSON
 * lines. A sender makes a pass over generated content for each line `pass VERSION` of its input; receivers check every
 * byte. It ends with its input.
 */

import { createCipheriv } from "node:crypto"
import { createInterface } from "node:readline"
import { udpCast } from "../../src/capabilities/share/node/udp-cast.ts"

export interface CastProcessSettings {
  readonly role: "sender" | "receiver"
  readonly bytes: number
  readonly chunkBytes: number
  readonly interfaces?: readonly string[]
}

const say = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`)

const settings = JSON.parse(process.argv[2] as string) as CastProcessSettings
const { bytes, chunkBytes } = settings
const chunks = Math.ceil(bytes / chunkBytes)
const place = { swarm: "482713", key: new Uint8Array(32).fill(3) }
const cast = udpCast(settings.interfaces === undefined ? {} : { interfaces: settings.interfaces })

/** The same at all. */
const made = new Map<number, Buffer>()
function content(version: number): Buffer {
  let whole = made.get(version)
  if (whole === undefined) {
    made.clear()
    whole = createCipheriv("aes-128-ctr", Buffer.alloc(16, version), Buffer.alloc(16)).update(Buffer.alloc(bytes))
    made.set(version, whole)
  }
  return whole
}
const chunkOf = (version: number, chunk: number) => {
  return content(version).subarray(chunk * chunkBytes, Math.min(bytes, (chunk + 1) * chunkBytes))
}

if (settings.role === "sender") {
  const speaker = cast.speak(place, { heard: (receivers) => say({ event: `heard ${receivers}` }) })
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      const version = Number(line.split(" ")[1])
      const numbers = Array.from({ length: chunks }, (_, at) => at)
      const { signal } = new AbortController()
      void speaker
        .pass({ version, chunks: numbers, read: (chunk) => chunkOf(version, chunk), signal, leastBytesPerSecond: 0 })
        .then((report) => say({ event: `passed ${version}`, ...report, cpu: process.cpuUsage() }))
    })
    .on("close", () => process.exit(0))
} else {
  let got = 0
  let bad = 0
  let lost = 0
  const listener = cast.listen(place, {
    heard: () => say({ event: "heard" }),
    deaf: () => say({ event: "deaf" }),
    room: (_name, length) => new Uint8Array(length),
    chunk: ({ version, chunk }, sealed) => {
      got++
      if (Buffer.compare(sealed, chunkOf(version, chunk)) !== 0) bad++
    },
    lost: () => lost++,
    over: (version) => {
      say({ event: `over ${version}`, got, bad, lost, receivedBytes: listener.receivedBytes, cpu: process.cpuUsage() })
      got = bad = lost = 0
    },
  })
  process.stdin.on("end", () => process.exit(0)).resume()
}
