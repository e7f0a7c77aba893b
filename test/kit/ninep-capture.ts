/**
 * 9P conversations before an independent decoder, Wireshark's. What both sides have said is written as a packet capture with
 * made-up TCP around it, so that neither root nor luck with timing is needed. `captureNinep` puts itself between a client
 * and a port; who has the bytes at hand writes a `NinepCapture` by itself.
 */

import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Frames } from "../../src/ninep/frames.ts"

/** For the `skip` of tests: false, or why they cannot run. */
export const withoutTshark: string | false =
  spawnSync("tshark", ["--version"]).status === 0 ? false : "tshark is not installed: nobody decodes the conversation"

/** What the decoder made of a capture. */
export interface DecodedNinep {
  /** The names of all messages in order, as the decoder knows them: `Tversion`, `Rversion` … */
  readonly messages: readonly string[]
  /** Packets that it cannot decode, in its words. */
  readonly malformed: readonly string[]
}

const port9p = 564

/**
 * Wireshark 4.0 knows no extension in the Tcreate of 9P2000.u, and looks for flags in Tgetlock that Linux does not send.
 * Both are said by clients only.
 */
const malformedFilter = "_ws.malformed && !(9p.msgtype == 114) && !(9p.msgtype == 54)"

export class NinepCapture {
  readonly #packets: Uint8Array[] = []
  #conversations = 0
  #messages = 0

  /** One connection: takes what the client and what the server has sent, in any pieces. */
  conversation(): { request: (bytes: Uint8Array) => void; answer: (bytes: Uint8Array) => void } {
    const clientPort = 20_000 + this.#conversations++
    const sequence = [1, 1] as [number, number]
    const side = (isClient: boolean) => {
      const frames = new Frames(2 ** 24, () => void this.#messages++)
      return (bytes: Uint8Array) => {
        frames.push(new Uint8Array(bytes))
        for (let at = 0; at < bytes.length; at += 32_000) {
          const piece = bytes.subarray(at, at + 32_000)
          const [from, to] = isClient ? [0, 1] : [1, 0]
          this.#packets.push(packet(isClient, clientPort, sequence[from] as number, sequence[to] as number, piece))
          sequence[from as 0 | 1] += piece.length
        }
      }
    }
    return { request: side(true), answer: side(false) }
  }

  /** Has everything decoded. Throws when the decoder found another number of messages than were sent. */
  async decode(): Promise<DecodedNinep> {
    const folder = await mkdtemp(join(tmpdir(), "rdv-ninep-"))
    try {
      const file = join(folder, "ninep.pcap")
      await writeFile(file, Buffer.concat([fileHeader(), ...this.#packets]))
      const rows = await tshark(file, "9p", ["-e", "9p.msgtype"])
      const numbers = rows.flatMap((row) => row.split(",")).filter((text) => text !== "")
      const messages = numbers.map((number) => names[Number(number)] ?? `type ${number}`)
      assert.equal(messages.length, this.#messages, "the decoder sees as many messages as were sent")
      const malformed = await tshark(file, malformedFilter, ["-e", "frame.number", "-e", "_ws.col.Info"])
      return { messages, malformed }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

export interface NinepTap extends AsyncDisposable {
  /** What clients connect to instead. */
  readonly port: number
  readonly capture: NinepCapture
}

/** Listens, passes everything on to the 9P server at that port of loopback, and keeps it for the decoder. */
export async function captureNinep(target: number): Promise<NinepTap> {
  const capture = new NinepCapture()
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: target, host: "127.0.0.1", noDelay: true })
    const { request, answer } = capture.conversation()
    pass(client, upstream, request)
    pass(upstream, client, answer)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
    }
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    capture,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function pass(from: Socket, to: Socket, keep: (bytes: Uint8Array) => void): void {
  from.on("data", (bytes) => {
    keep(bytes)
    if (!to.write(bytes)) from.pause()
  })
  to.on("drain", () => from.resume())
  from.on("end", () => to.end())
  // A cut on one side is one on the other side.
  from.on("error", () => to.destroy())
  from.on("close", () => to.destroySoon())
}

/** A line for each packet that the filter lets through. */
async function tshark(file: string, filter: string, fields: readonly string[]): Promise<string[]> {
  const args = ["-r", file, "-d", `tcp.port==${port9p},9p`, "-Y", filter, "-T", "fields", ...fields]
  const child = spawn("tshark", args, { stdio: ["ignore", "pipe", "pipe"] })
  let out = ""
  let errors = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", resolve)
  })
  assert.equal(code, 0, `tshark failed: ${errors}`)
  return out.split("\n").filter((line) => line.trim() !== "")
}

/** As the decoder numbers them; our own table is not asked on purpose. */
const names: { readonly [type: number]: string } = Object.fromEntries(
  (
    "6 lerror,8 statfs,12 lopen,14 lcreate,16 symlink,18 mknod,20 rename,22 readlink,24 getattr,26 setattr,30 xattrwalk," +
    "32 xattrcreate,40 readdir,50 fsync,52 lock,54 getlock,70 link,72 mkdir,74 renameat,76 unlinkat,100 version,102 auth," +
    "104 attach,106 error,108 flush,110 walk,112 open,114 create,116 read,118 write,120 clunk,122 remove,124 stat,126 wstat"
  )
    .split(",")
    .flatMap((pair) => {
      const [number, name] = pair.split(" ") as [string, string]
      return [
        [Number(number), `T${name}`],
        [Number(number) + 1, `R${name}`],
      ]
    }),
)

/** A capture file of bare IP packets: LINKTYPE_RAW. */
function fileHeader(): Uint8Array {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(0x40000, 16)
  header.writeUInt32LE(101, 20)
  return header
}

function packet(isClient: boolean, clientPort: number, sequence: number, next: number, data: Uint8Array): Uint8Array {
  const [from, to] = isClient ? [clientPort, port9p] : [port9p, clientPort]
  const length = 40 + data.length
  const head = Buffer.alloc(16 + 40)
  head.writeUInt32LE(length, 8)
  head.writeUInt32LE(length, 12)
  // IPv4 without options, from 127.0.0.1 to itself.
  head.writeUInt8(0x45, 16)
  head.writeUInt16BE(length, 18)
  head.writeUInt8(64, 24)
  head.writeUInt8(6, 25)
  head.writeUInt32BE(0x7f000001, 28)
  head.writeUInt32BE(0x7f000001, 32)
  // TCP: PSH and ACK.
  head.writeUInt16BE(from, 36)
  head.writeUInt16BE(to, 38)
  head.writeUInt32BE(sequence, 40)
  head.writeUInt32BE(next, 44)
  head.writeUInt8(5 << 4, 48)
  head.writeUInt8(0x18, 49)
  head.writeUInt16BE(0xffff, 50)
  return Buffer.concat([head, data])
}
