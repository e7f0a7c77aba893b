/** A TCP client of a test: what it has got so far, how its connection ended, and waiting for either with a deadline. */

import { connect } from "node:net"
import type { Socket } from "node:net"

export type VisitEnd = "open" | "FIN" | "RST" | "refused" | "failed"

/** Longer than anything that is waited for takes on a busy machine, ms. */
const patienceMs = 15_000

export class Visitor implements Disposable {
  readonly socket: Socket
  readonly startedAt: number = performance.now()
  /** Latin-1. */
  text = ""
  connected = false
  /** Bytes; counts on when `text` is cut. */
  received = 0
  ended: VisitEnd = "open"
  /** When `ended` was set, ms after the start. */
  endedMs = 0
  #watchers: (() => void)[] = []

  constructor(port: number, { host = "127.0.0.1" }: { readonly host?: string } = {}) {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: false })
    this.socket = socket
    socket.on("connect", () => {
      this.connected = true
      this.#tell()
    })
    socket.on("data", (bytes: Buffer) => {
      this.received += bytes.length
      if (this.text.length < mostText) this.text += bytes.toString("latin1")
      this.#tell()
    })
    socket.on("end", () => this.#end("FIN"))
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") this.#end("RST")
      else this.#end(error.code === "ECONNREFUSED" ? "refused" : "failed")
    })
    socket.on("close", () => this.#end("failed"))
  }

  /** Rejects with what it has seen when that does not come true in time. */
  async until(check: () => boolean, what: string, deadlineMs: number = patienceMs): Promise<void> {
    if (check()) return
    await new Promise<void>((done, fail) => {
      const settle = (error?: Error) => {
        clearTimeout(timer)
        this.#watchers = this.#watchers.filter((each) => each !== look)
        if (error === undefined) done()
        else fail(error)
      }
      const look = () => {
        if (check()) settle()
      }
      const timer = setTimeout(() => {
        const seen = `${this.received} bytes (${JSON.stringify(this.text.slice(0, 40))}), ${this.ended}`
        settle(new Error(`Not within ${deadlineMs} ms: ${what}; it had ${seen}`))
      }, deadlineMs)
      this.#watchers.push(look)
    })
  }

  /** The first line: who serves it. Rejects when the connection is over before. */
  async greeting(): Promise<string> {
    await this.until(() => this.text.includes("\n") || this.ended !== "open", "a greeting")
    if (!this.text.includes("\n")) throw new Error(`${this.ended} instead of a greeting`)
    return this.text.slice(0, this.text.indexOf("\n"))
  }

  /** Sends it, and waits until the same has come back behind all that came before. */
  async echoes(text: string): Promise<void> {
    const from = this.text.length
    this.socket.write(text, "latin1")
    const whole = () => this.text.length >= from + text.length
    await this.until(() => whole() || this.ended !== "open", "an echo")
    if (this.text.slice(from) !== text) throw new Error(`no echo but ${this.text.length - from} bytes, ${this.ended}`)
  }

  /** How its connection ends, when nobody at this side ends it. */
  async end(deadlineMs?: number): Promise<VisitEnd> {
    await this.until(() => this.ended !== "open", "an end", deadlineMs)
    return this.ended
  }

  /** Ends in good order, and waits until the other side has as well. */
  async leave(): Promise<void> {
    this.socket.end()
    const ended = await this.end()
    if (ended !== "FIN") throw new Error(`${ended} instead of a FIN`)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #end(how: VisitEnd): void {
    // A FIN stays what it was, whatever becomes of the socket then.
    if (this.ended === "open") {
      this.ended = how
      this.endedMs = performance.now() - this.startedAt
    }
    this.#tell()
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

/** Floods are counted, not kept. */
const mostText = 1 << 20

/** One whole visit of a target that greets and echoes. Resolves with its name; rejects when anything is not as it should be. */
export async function visitTarget(port: number, text = "ping", host?: string): Promise<string> {
  using visitor = new Visitor(port, host === undefined ? {} : { host })
  const name = await visitor.greeting()
  await visitor.echoes(text)
  await visitor.leave()
  return name
}

/** So many visits, at most `atOnce` at a time; how many each target had. */
export async function visitMany(ports: readonly number[], count: number, atOnce = 16): Promise<Record<string, number>> {
  const served: Record<string, number> = {}
  let next = 0
  const worker = async () => {
    for (;;) {
      const at = next++
      if (at >= count) return
      const name = await visitTarget(ports[at % ports.length] as number, `message ${at} ${"x".repeat(at % 500)}`)
      served[name] = (served[name] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return served
}
