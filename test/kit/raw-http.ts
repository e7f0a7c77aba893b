/**
 * A client on a bare socket: it sends what it is told, byte for byte, and reads answers by rules of its own, so that
 * nothing of the product judges the product.
 */

import * as net from "node:net"

/** Nothing on loopback takes longer, ms. */
const deadlineMs = 5_000

export interface RawAnswer {
  readonly status: number
  readonly reason: string
  readonly version: string
  /** Lines behind the status line, as they came. */
  readonly lines: readonly string[]
  /** Statuses of the interim answers before it. */
  readonly interim: readonly RawAnswer[]
  readonly body: Buffer
  /** Lines behind the last chunk. */
  readonly trailers: readonly string[]
  /** The first value of a field; the name in lower case. */
  header(lowerName: string): string | undefined
}

/** How a connection ended: in good order, or by a reset. */
export type Ending = "end" | "reset"

export class RawClient {
  readonly socket: net.Socket
  #unread: Buffer[] = []
  #unreadBytes = 0
  #ending: Ending | undefined
  #closed = false
  #wake: (() => void) | undefined

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on("data", (bytes: Buffer) => {
      this.#unread.push(bytes)
      this.#unreadBytes += bytes.length
      this.#wake?.()
    })
    socket.on("end", () => this.#end("end"))
    socket.on("error", () => this.#end("reset"))
    socket.on("close", () => {
      this.#closed = true
      this.#end("reset")
    })
  }

  get unreadBytes(): number {
    return this.#unreadBytes
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Text is latin1. Resolves when the kernel has taken it. */
  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, () => resolve())
    })
  }

  /** Ends our side only. */
  end(): void {
    this.socket.end()
  }

  /** Within an end that is under way there is no reset. */
  reset(): void {
    if (this.socket.writableEnded && !this.socket.writableFinished) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  /** The next final answer. `method` says whether it has a body; interim answers are gathered. */
  async answer(method = "GET"): Promise<RawAnswer> {
    const interim: RawAnswer[] = []
    for (;;) {
      const { status, reason, version, lines } = await this.#head()
      const header = (lowerName: string) => headerOf(lines, lowerName)
      const facts = { status, reason, version, lines, header, interim: [], trailers: [] }
      if (status < 200 && status !== 101) {
        interim.push({ ...facts, body: Buffer.alloc(0) })
        continue
      }
      const { body, trailers } = await this.#body(method, status, header)
      return { ...facts, interim, body, trailers }
    }
  }

  /** So many bytes; rejects when the connection ends before. */
  async take(bytes: number): Promise<Buffer> {
    await this.#until(`${bytes} bytes`, () => this.#unreadBytes >= bytes)
    const all = Buffer.concat(this.#unread)
    this.#unread = [all.subarray(bytes)]
    this.#unreadBytes -= bytes
    return all.subarray(0, bytes)
  }

  /** Up to and with this text. */
  async takeUntil(text: string): Promise<string> {
    let end = -1
    await this.#until(JSON.stringify(text), () => {
      end = Buffer.concat(this.#unread).indexOf(text, 0, "latin1")
      return end >= 0
    })
    return (await this.take(end + text.length)).toString("latin1")
  }

  /** Everything up to the end of the other side, and how it ended. */
  async rest(waitMs: number = deadlineMs): Promise<{ bytes: Buffer; ending: Ending }> {
    await this.#until("the end of the connection", () => this.#ending !== undefined, waitMs, true)
    const bytes = Buffer.concat(this.#unread)
    this.#unread = []
    this.#unreadBytes = 0
    return { bytes, ending: this.#ending as Ending }
  }

  async #head(): Promise<{ status: number; reason: string; version: string; lines: string[] }> {
    const [first = "", ...lines] = (await this.takeUntil("\r\n\r\n")).slice(0, -4).split("\r\n")
    const match = /^(HTTP\/1\.[01]) (\d{3}) (.*)$/.exec(first)
    if (match === null) throw new Error(`Not a status line: ${JSON.stringify(first)}`)
    return { version: match[1] as string, status: Number(match[2]), reason: match[3] as string, lines }
  }

  async #body(
    method: string,
    status: number,
    header: (lowerName: string) => string | undefined,
  ): Promise<{ body: Buffer; trailers: string[] }> {
    if (method === "HEAD" || status === 204 || status === 304 || status === 101) {
      return { body: Buffer.alloc(0), trailers: [] }
    }
    if (header("transfer-encoding") === "chunked") return this.#chunks()
    const length = header("content-length")
    if (length !== undefined) return { body: await this.take(Number(length)), trailers: [] }
    const { bytes, ending } = await this.rest()
    if (ending === "reset") throw new Error("The connection was reset within the body")
    return { body: bytes, trailers: [] }
  }

  async #chunks(): Promise<{ body: Buffer; trailers: string[] }> {
    const parts: Buffer[] = []
    for (;;) {
      const size = Number.parseInt(await this.takeUntil("\r\n"), 16)
      if (size === 0) break
      parts.push(await this.take(size))
      if ((await this.take(2)).toString() !== "\r\n") throw new Error("A chunk does not end in CRLF")
    }
    const trailers: string[] = []
    for (let line = await this.takeUntil("\r\n"); line !== "\r\n"; line = await this.takeUntil("\r\n")) {
      trailers.push(line.slice(0, -2))
    }
    return { body: Buffer.concat(parts), trailers }
  }

  #end(how: Ending): void {
    this.#ending ??= how
    this.#wake?.()
  }

  async #until(what: string, test: () => boolean, waitMs = deadlineMs, ends = false): Promise<void> {
    const until = performance.now() + waitMs
    while (!test()) {
      const leftMs = until - performance.now()
      if (leftMs <= 0) throw new Error(`Waited ${waitMs} ms for ${what}; unread: ${this.#shown()}`)
      if (this.#ending !== undefined && !ends) throw new EndedError(what, this.#ending, this.#shown())
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
  }

  #shown(): string {
    return JSON.stringify(Buffer.concat(this.#unread).toString("latin1").slice(0, 300))
  }
}

/** The connection ended while more was expected. */
export class EndedError extends Error {
  readonly ending: Ending

  constructor(what: string, ending: Ending, unread: string) {
    super(`The connection ended (${ending}) before ${what}; unread: ${unread}`)
    this.ending = ending
  }
}

export async function rawClient(port: number, options: net.SocketConstructorOpts = {}): Promise<RawClient> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true, ...options })
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("error", reject)
  })
  return new RawClient(socket)
}

/** Sends one request on a connection of its own and reads its answer. */
export async function rawExchange(port: number, request: string, method?: string): Promise<RawAnswer> {
  const client = await rawClient(port)
  try {
    void client.send(request)
    return await client.answer(method ?? request.slice(0, request.indexOf(" ")))
  } finally {
    client.socket.destroy()
  }
}

/** Looks again and again until it holds; rejects after `waitMs`. */
export async function eventually(what: string, test: () => boolean, waitMs = 3_000): Promise<void> {
  const until = performance.now() + waitMs
  while (!test()) {
    if (performance.now() > until) throw new Error(`After ${waitMs} ms it does not hold that ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function headerOf(lines: readonly string[], lowerName: string): string | undefined {
  const line = lines.find((each) => each.toLowerCase().startsWith(`${lowerName}:`))
  return line?.slice(lowerName.length + 1).trim()
}

/** Resolves when the count is not 0 and has not changed for a while: that nothing more comes only silence tells. */
export async function standsStill(count: () => number): Promise<void> {
  const until = performance.now() + 10_000
  for (let before = -1; before !== count() || before === 0;) {
    if (performance.now() > until) throw new Error(`It still moves at ${count()}`)
    before = count()
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}
