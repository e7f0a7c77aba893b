/**
 * A link over a WebSocket of the `ws` package, the server's side and Node's dialling side. Messages mean nothing: they
 * are cut and joined as it suits. Only the dialling side of a page uses `ws.ts`.
 */

import type { Socket } from "node:net"
import type { WebSocket } from "ws"
import { concat } from "../base/bytes.ts"
import type { Clock, Timer } from "../base/clock.ts"
import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Link, LinkSink } from "../mux/link.ts"
import { abortSocket } from "../sockets/socket-pipe.ts"
import { plainBytes } from "../sockets/socket-reader.ts"

/** The subprotocol (RFC 6455 section 1.9); `/` is not allowed in its name. */
export const sessionSubprotocol = "rdv.1"
/** The largest message that is taken; it bounds what a peer can make us buffer before a message is whole. */
export const maxMessageBytes = 1_048_576
/** The largest message that is sent, well below what any peer takes. */
const sendMessageBytes = 262_144
/** Parts that fit are joined into one message: one frame head and one write in place of several. */
const joinBytes = 16_384
const highWaterBytes = 131_072
/** How long a closing handshake may take, whoever began it. */
const defaultCloseMs = 5000
/** The same as an option of the package, which its types do not know yet. Inline it when they do. */
export const closeTimeout: object = { closeTimeout: defaultCloseMs }

export interface WebSocketLinkOptions {
  readonly peer: string
  readonly protected: boolean
  /** How long `close` waits for the peer. Default 5000. */
  readonly closeMs?: number
  readonly clock?: Clock
}

/** Takes over an open WebSocket and the socket under it. Nothing is read before `attach`. */
export function webSocketLink(ws: WebSocket, socket: Socket, options: WebSocketLinkOptions): Link {
  return new WebSocketLink(ws, socket, options)
}

class WebSocketLink implements Link {
  readonly kind = "ws"
  readonly peer: string
  readonly protected: boolean
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #closeMs: number
  readonly #highWater: number
  #sink: LinkSink | undefined
  /** Messages that were parsed out of one read although the link is paused: at most a read's worth. */
  #held: Uint8Array[] = []
  #full = false
  #paused = false
  #closing = false
  #over = false
  #reason: RdvError | undefined
  #closed = false
  #told = false
  #closeTimer: Timer | undefined

  constructor(ws: WebSocket, socket: Socket, options: WebSocketLinkOptions) {
    this.peer = options.peer
    this.protected = options.protected
    this.#ws = ws
    this.#socket = socket
    this.#clock = options.clock ?? systemClock
    this.#closeMs = options.closeMs ?? defaultCloseMs
    this.#highWater = Math.max(highWaterBytes, socket.writableHighWaterMark)
    socket.setNoDelay?.(true)
    ws.binaryType = "nodebuffer"
    ws.pause()
    ws.on("message", (message: Buffer, isBinary: boolean) => {
      if (isBinary) this.#receive(plainBytes(message))
      else this.abort(new RdvError("protocol", `${this.peer} sent text where bytes belong`, { origin: "remote" }))
    })
    socket.on("drain", () => this.#onDrain())
    ws.on("error", (error: NodeJS.ErrnoException) => {
      this.#fail(
        new RdvError("link_lost", `The link to ${this.peer} broke: ${error.code ?? error.message}`, { cause: error }),
      )
    })
    ws.on("close", (code: number) => this.#onClose(code))
  }

  get queuedBytes(): number {
    return this.#over ? 0 : this.#socket.writableLength
  }

  attach(sink: LinkSink): void {
    this.#sink = sink
    queueMicrotask(() => {
      if (this.#closed) this.#tell()
      else this.#wake()
    })
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#over || this.#closing) return false
    let total = 0
    for (const part of parts) total += part.length
    if (total <= joinBytes) {
      if (total > 0) this.#message(parts.length === 1 ? (parts[0] as Uint8Array) : concat(parts, total))
    } else {
      this.#socket.cork()
      for (const part of parts) {
        for (let at = 0; at < part.length; at += sendMessageBytes) {
          this.#message(part.subarray(at, at + sendMessageBytes))
        }
      }
      this.#socket.uncork()
    }
    if (this.#socket.writableLength < this.#highWater) return true
    this.#full = true
    return false
  }

  pause(): void {
    this.#paused = true
    if (!this.#closing) this.#ws.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#sink !== undefined) queueMicrotask(() => this.#wake())
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#closeTimer = this.#clock.after(this.#closeMs, () => {
      this.#fail(new RdvError("timeout", `${this.peer} did not close the link within ${this.#closeMs} ms`))
      abortSocket(this.#socket)
    })
    this.#ws.close(1000)
    // The peer's close stands behind whatever it still sends.
    this.#ws.resume()
  }

  abort(error: RdvError): void {
    if (this.#closed) return
    // Also when it is failing and still flushes: what is queued may be reused as soon as this returns.
    this.#fail(error)
    this.#ws.resume()
    abortSocket(this.#socket)
  }

  #message(bytes: Uint8Array): void {
    this.#ws.send(bytes, { binary: true, compress: false })
  }

  #wake(): void {
    while (!this.#paused && !this.#over && this.#held.length > 0) this.#sink?.data(this.#held.shift() as Uint8Array)
    if (!this.#paused && !this.#over) this.#ws.resume()
  }

  #receive(bytes: Uint8Array): void {
    if (this.#over || bytes.length === 0) return
    if (this.#sink === undefined || this.#paused || this.#held.length > 0) {
      if (!this.#closing) this.#held.push(bytes)
      return
    }
    this.#sink.data(bytes)
  }

  #onDrain(): void {
    if (!this.#full || this.#over || this.#closing) return
    this.#full = false
    this.#sink?.drain()
  }

  #fail(reason: RdvError): void {
    if (this.#over) return
    this.#over = true
    this.#reason = reason
  }

  #onClose(code: number): void {
    if (this.#closed) return
    this.#closed = true
    this.#closeTimer?.cancel()
    // 1000 and 1005 (no code) are ends in good order; 1006 is a connection that broke (RFC 6455 section 7.4.1).
    const isOrderly = code === 1000 || code === 1005
    if (!(this.#closing && isOrderly)) {
      const what = code === 1006 ? `The link to ${this.peer} broke` : `${this.peer} closed the link (${code})`
      this.#fail(new RdvError("link_lost", what))
    }
    this.#over = true
    this.#tell()
  }

  /** Both the end and a sink that comes late lead here. */
  #tell(): void {
    if (this.#told || this.#sink === undefined) return
    this.#told = true
    this.#sink.closed(this.#reason)
  }
}
