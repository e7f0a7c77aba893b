/**
 * A link over the platform's own `WebSocket`: a page's or a worker's only way out; Node has the same global. It cannot
 * stop its peer from sending: what arrives in a pause is held up to a limit, and flow control above keeps below it. It
 * tells when it is full by watching `bufferedAmount`, because there is no event for it.
 */

import { concat } from "../base/bytes.ts"
import type { Clock, Timer } from "../base/clock.ts"
import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Link, LinkSink } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { printAddress, printHostPort } from "./address.ts"
import type { DialLimits } from "./transport.ts"

/** The subprotocol (RFC 6455 section 1.9); the listening side answers with the same. */
const sessionSubprotocol = "rdv.1"
/** The largest message that is sent; the listening side takes four times as much. */
const sendMessageBytes = 262_144
const joinBytes = 16_384
const highWaterBytes = 131_072
/** How often a full link looks again. */
const pollMs = 4
/** What may arrive in a pause, before the link is given up: beyond any session's window. */
const heldLimitBytes = 16_777_216
const closeMs = 5000

export interface WebSocketDialLimits extends DialLimits {
  readonly clock?: Clock
}

/**
 * Takes `ws` and `wss` addresses. Why a dial failed is not told to pages, so `unreachable` has no reason. The
 * certificate is checked by the platform's rules alone.
 */
export function dialWebSocket(address: Address, limits: WebSocketDialLimits): Promise<Link> {
  return new Promise((resolve, reject) => {
    if (address.scheme !== "ws" && address.scheme !== "wss") {
      throw new RdvError("usage", `${printAddress(address)} is not a ws address`)
    }
    limits.signal?.throwIfAborted()
    const clock = limits.clock ?? systemClock
    const place = printAddress(address)
    const host = printHostPort(address.host === "" ? "localhost" : address.host, address.port)
    const ws = new WebSocket(`${address.scheme}://${host}${address.path}`, [sessionSubprotocol])
    ws.binaryType = "arraybuffer"
    let settled = false
    const settle = (error?: unknown) => {
      if (settled) return
      settled = true
      timer.cancel()
      limits.signal?.removeEventListener("abort", onAbort)
      if (error === undefined) return
      ws.close()
      reject(error as Error)
    }
    const onAbort = () => settle(limits.signal?.reason ?? new RdvError("closed"))
    const timer = clock.after(limits.timeoutMs, () =>
      settle(new RdvError("timeout", `${place} did not answer in time`)),
    )
    limits.signal?.addEventListener("abort", onAbort, { once: true })
    ws.addEventListener("error", () => settle(new RdvError("unreachable", `Cannot open a WebSocket to ${place}`)))
    ws.addEventListener("close", () => settle(new RdvError("unreachable", `${place} closed the WebSocket`)))
    ws.addEventListener("open", () => {
      if (settled) return
      settle()
      resolve(new PageLink(ws, place, address.scheme === "wss", clock))
    })
  })
}

class PageLink implements Link {
  readonly kind = "ws"
  readonly peer: string
  readonly protected: boolean
  readonly #ws: WebSocket
  readonly #clock: Clock
  #sink: LinkSink | undefined
  #held: Uint8Array[] = []
  #heldBytes = 0
  #full = false
  #paused = false
  #closing = false
  /** The result is known; `closed` has been or is about to be called. */
  #over = false
  #told = false
  #reason: RdvError | undefined
  #timer: Timer | undefined

  constructor(ws: WebSocket, peer: string, isProtected: boolean, clock: Clock) {
    this.peer = peer
    this.protected = isProtected
    this.#ws = ws
    this.#clock = clock
    ws.addEventListener("message", ({ data }) => {
      if (data instanceof ArrayBuffer) this.#receive(new Uint8Array(data))
      else this.abort(new RdvError("protocol", `${peer} sent text where bytes belong`, { origin: "remote" }))
    })
    ws.addEventListener("close", ({ code }) => this.#onClose(code))
  }

  get queuedBytes(): number {
    return this.#over ? 0 : this.#ws.bufferedAmount
  }

  attach(sink: LinkSink): void {
    this.#sink = sink
    queueMicrotask(() => (this.#over ? this.#tell() : this.#wake()))
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#over || this.#closing) return false
    let total = 0
    for (const part of parts) total += part.length
    if (total <= joinBytes) {
      if (total > 0) this.#ws.send((parts.length === 1 ? parts[0] : concat(parts, total)) as Uint8Array<ArrayBuffer>)
    } else {
      for (const part of parts) {
        for (let at = 0; at < part.length; at += sendMessageBytes)
          this.#ws.send(part.subarray(at, at + sendMessageBytes) as Uint8Array<ArrayBuffer>)
      }
    }
    if (this.#ws.bufferedAmount < highWaterBytes) return true
    if (!this.#full) {
      this.#full = true
      this.#clock.after(pollMs, () => this.#poll())
    }
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#sink !== undefined) queueMicrotask(() => this.#wake())
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#timer = this.#clock.after(closeMs, () => {
      this.#end(new RdvError("timeout", `${this.peer} did not close the link within ${closeMs} ms`))
    })
    this.#ws.close(1000)
  }

  /** A page cannot drop what it gave to the WebSocket; the peer hears of the end behind it. */
  abort(error: RdvError): void {
    if (this.#over) return
    this.#ws.close(4000)
    this.#end(error)
  }

  #poll(): void {
    if (!this.#full || this.#over || this.#closing) return
    if (this.#ws.bufferedAmount >= highWaterBytes / 2) {
      this.#clock.after(pollMs, () => this.#poll())
      return
    }
    this.#full = false
    this.#sink?.drain()
  }

  #receive(bytes: Uint8Array): void {
    if (this.#over || bytes.length === 0) return
    if (this.#sink !== undefined && !this.#paused && this.#held.length === 0) {
      this.#sink.data(bytes)
      return
    }
    if (this.#closing && this.#paused) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes > heldLimitBytes) {
      this.abort(new RdvError("limit", `${this.peer} sent more than ${heldLimitBytes} bytes into a pause`))
    }
  }

  #wake(): void {
    while (!this.#paused && !this.#over) {
      const bytes = this.#held.shift()
      if (bytes === undefined) return
      this.#heldBytes -= bytes.length
      this.#sink?.data(bytes)
    }
  }

  #onClose(code: number): void {
    if (this.#closing && (code === 1000 || code === 1005)) this.#end(undefined)
    else if (code === 1006) this.#end(new RdvError("link_lost", `The link to ${this.peer} broke`))
    else this.#end(new RdvError("link_lost", `${this.peer} closed the link (${code})`))
  }

  #end(reason: RdvError | undefined): void {
    if (this.#over) return
    // What came before the end is delivered before it, also when it came into a pause.
    if (reason === undefined || reason.code === "link_lost") {
      this.#paused = false
      this.#wake()
    }
    this.#over = true
    this.#held = []
    this.#timer?.cancel()
    this.#reason = reason
    queueMicrotask(() => this.#tell())
  }

  /** Both the end and a sink that comes late lead here. */
  #tell(): void {
    if (this.#told || this.#sink === undefined) return
    this.#told = true
    this.#sink.closed(this.#reason)
  }
}
