/** Visitors that check every byte of what `chaos-origin.ts` sends and takes, and count what went wrong. */

import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import * as http from "node:http"
import { Readable } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import { WebSocket } from "ws"
import { patternBytes } from "./chaos-origin.ts"

export interface VisitorTarget {
  /** The relay's public port on 127.0.0.1. */
  readonly port: number
  /** The route's host name. */
  readonly host: string
  readonly agent?: http.Agent
}

/** A request whose answer's head has come; the body is still to be read. */
export async function request(
  { port, host, agent }: VisitorTarget,
  path: string,
  options: { method?: string; headers?: http.OutgoingHttpHeaders; body?: Buffer | Readable; signal?: AbortSignal } = {},
): Promise<http.IncomingMessage> {
  const { method = options.body === undefined ? "GET" : "POST", body, headers = {}, signal } = options
  const sent = http.request({
    host: "127.0.0.1",
    port,
    path,
    method,
    headers: { Host: host, ...headers },
    agent: agent ?? false,
    ...(signal !== undefined && { signal }),
  })
  if (body instanceof Readable) body.on("error", () => sent.destroy()).pipe(sent)
  else sent.end(body)
  const [response] = (await once(sent, "response")) as [http.IncomingMessage]
  // What breaks later is told by the response.
  sent.on("error", () => undefined)
  return response
}

export async function bodyOf(response: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const bytes of response) parts.push(bytes as Buffer)
  return Buffer.concat(parts)
}

/** Downloads and hashes. `progress` hears how many bytes came so far. */
export async function download(
  target: VisitorTarget,
  bytes: number,
  progress: (bytes: number) => void,
): Promise<string> {
  const response = await request(target, `/download?bytes=${bytes}`)
  assert.equal(response.statusCode, 200)
  const hash = createHash("sha256")
  let got = 0
  for await (const chunk of response) {
    hash.update(chunk as Buffer)
    got += (chunk as Buffer).length
    progress(got)
  }
  assert.equal(got, bytes)
  return hash.digest("hex")
}

/** Uploads; answers with the digest at both ends. */
export async function upload(
  target: VisitorTarget,
  bytes: number,
  progress: (bytes: number) => void,
): Promise<{ sent: string; received: string }> {
  const hash = createHash("sha256")
  let passed = 0
  const body = Readable.from(
    (function* () {
      for (const piece of patternBytes(bytes)) {
        hash.update(piece)
        yield piece
        passed += piece.length
        progress(passed)
      }
    })(),
  )
  const response = await request(target, "/upload", { body, headers: { "Content-Length": bytes } })
  const received = (await bodyOf(response)).toString()
  return { sent: hash.digest("hex"), received }
}

export interface SteadyLoad {
  readonly done: number
  readonly failures: readonly string[]
  /** Finishes what runs. */
  stop(): Promise<void>
}

/** So many visitors at once, each with one small echoed request after the other. */
export function smallRequests(target: VisitorTarget, parallel: number, maxMs = 400): SteadyLoad {
  const agent = new http.Agent({ keepAlive: true, maxSockets: parallel })
  const failures: string[] = []
  let done = 0
  let stopping = false
  const worker = async () => {
    while (!stopping) {
      const body = randomBytes(2_000)
      try {
        const path = `/echo?ms=${Math.floor(Math.random() * maxMs)}`
        const response = await request({ ...target, agent }, path, { body })
        const back = await bodyOf(response)
        if (response.statusCode !== 200 || !back.equals(body)) {
          failures.push(`${response.statusCode}: ${back.subarray(0, 200).toString()}`)
        }
      } catch (error) {
        failures.push(String(error))
      }
      done++
    }
  }
  const workers = Array.from({ length: parallel }, worker)
  return {
    get done() {
      return done
    },
    failures,
    async stop() {
      stopping = true
      await Promise.all(workers)
      agent.destroy()
    },
  }
}

/** A WebSocket that sends a counting message every `everyMs` and wants each one back, in order. */
export async function echoSocket({ port, host }: VisitorTarget, everyMs: number): Promise<SteadyLoad> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers: { Host: host }, perMessageDeflate: false })
  const failures: string[] = []
  let sent = 0
  let done = 0
  await once(socket, "open")
  socket.on("message", (data) => {
    const text = (data as Buffer).toString()
    if (text !== `message ${done}`) failures.push(`"${text}" in the place of ${done}`)
    done++
  })
  socket.on("error", (error) => failures.push(String(error)))
  let closing = false
  socket.on("close", (code) => {
    if (!closing) failures.push(`closed with ${code}`)
  })
  const tick = setInterval(() => {
    if (socket.readyState === WebSocket.OPEN) socket.send(`message ${sent++}`)
  }, everyMs)
  return {
    get done() {
      return done
    },
    failures,
    async stop() {
      clearInterval(tick)
      for (let waits = 0; done < sent && failures.length === 0 && waits < 500; waits++) await sleep(10)
      if (done !== sent) failures.push(`${sent} sent, ${done} came back`)
      closing = true
      const closed = once(socket, "close")
      socket.close()
      await closed
    },
  }
}

/** A stream of server-sent events, each with the number that has to come next. */
export async function eventStream(target: VisitorTarget, everyMs: number): Promise<SteadyLoad> {
  const response = await request(target, `/events?every=${everyMs}`)
  const failures: string[] = []
  let done = 0
  let stopping = false
  let text = ""
  const reading = (async () => {
    for await (const bytes of response) {
      text += String(bytes)
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const event = text.slice(0, end)
        text = text.slice(end + 2)
        if (event !== `id: ${done}\ndata: event ${done}`) failures.push(`"${event}" in the place of ${done}`)
        done++
      }
    }
  })().then(
    () => void (stopping || failures.push("ended")),
    (error: unknown) => void (stopping || failures.push(String(error))),
  )
  return {
    get done() {
      return done
    },
    failures,
    async stop() {
      stopping = true
      response.destroy()
      await reading
    },
  }
}

/** A number generator that gives the same numbers for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The value below which the share `q` of the samples lies. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN
}
