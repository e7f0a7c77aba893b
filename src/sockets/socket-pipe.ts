/**
 * A pipe over a Node socket: the way of nearly every byte. A send is one write or one `writev`; the answer of `send`
 * follows what the kernel did not take yet, and reading reuses memory (`socket-reader.ts`).
 */

import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"
import { concat } from "../base/bytes.ts"
import { systemClock } from "../base/clock.ts"
import type { Clock, Timer } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Pipe, PipeSink } from "../base/pipe.ts"
import { adoptSocket, plainBytes, SocketReader } from "./socket-reader.ts"

export interface SocketPipeOptions {
  readonly kind: string
  readonly peer: string
  /** `send` answers false while so many bytes wait for the kernel. At least the socket's own high-water mark. */
  readonly highWaterBytes?: number
  /** How long `close` waits for the peer to close too, before it cuts. Default 5000. */
  readonly closeMs?: number
  /** The reader that the socket was made with. Without one, the socket is read by `data` events. */
  readonly reader?: SocketReader
  /** Bytes that were read from the socket before; delivered first. */
  readonly head?: Uint8Array
  readonly clock?: Clock
}

const defaultHighWaterBytes = 131072
const defaultCloseMs = 5000

/**
 * The socket of one that was made without a reader, by a server or for a handshake: it is read with reused memory where that
 * works (`tryAdoption` has to be done). The given object is dead afterwards.
 */
export function adopted(socket: Socket): { readonly socket: Socket; readonly reader?: SocketReader } {
  if (socket instanceof TLSSocket) return { socket }
  const reader = new SocketReader()
  const again = adoptSocket(socket, reader)
  return again === undefined ? { socket } : { socket: again, reader }
}

/**
 * Ends a socket at once, with a reset where it has one, so that the peer does not take it for an end in good order. Unlike
 * `sockets/cut.ts` it never waits for an end that is under way: what a link has queued may be reused when this returns.
 */
export function abortSocket(socket: Socket): void {
  // Only sockets with a TCP handle have a reset; a pipe has no family, and an end that is under way forbids it.
  if (socket instanceof TLSSocket || socket.remoteFamily === undefined || socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/**
 * Takes over a connected socket whose `allowHalfOpen` is set (else the peer's end cuts what we still had to send).
 * It stays paused until `attach`.
 */
export class SocketPipe implements Pipe {
  readonly kind: string
  readonly peer: string
  readonly #socket: Socket
  readonly #reader: SocketReader | undefined
  readonly #clock: Clock
  readonly #closeMs: number
  readonly #highWater: number
  #sink: PipeSink | undefined
  /** Arrived before `attach`, or in the moment between `pause` and the kernel hearing of it. */
  #held: Uint8Array | undefined
  #full = false
  #paused = false
  #closing = false
  /** Nothing reaches the sink any more but `closed`. */
  #over = false
  #reason: RdvError | undefined
  #closed = false
  #told = false
  #closeTimer: Timer | undefined

  constructor(socket: Socket, options: SocketPipeOptions) {
    this.kind = options.kind
    this.peer = options.peer
    this.#socket = socket
    this.#reader = options.reader
    this.#clock = options.clock ?? systemClock
    this.#closeMs = options.closeMs ?? defaultCloseMs
    // Node emits `drain` only after a write went above its own mark, so ours is never below it.
    this.#highWater = Math.max(options.highWaterBytes ?? defaultHighWaterBytes, socket.writableHighWaterMark)
    this.#held = options.head !== undefined && options.head.length > 0 ? options.head : undefined
    // Frames are complete when they are written: waiting for more only delays them (RFC 896 is not for us).
    socket.setNoDelay(true)
    // Explicitly paused, a socket does not begin to flow when it gets its "data" handler.
    socket.pause()
    if (this.#reader === undefined) socket.on("data", (bytes) => void this.#receive(plainBytes(bytes)))
    else this.#reader.receive = (bytes) => this.#receive(bytes)
    socket.on("drain", () => this.#onDrain())
    socket.on("end", () => this.#onEnd())
    socket.on("error", (error: NodeJS.ErrnoException) => this.#fail(broken(this.peer, error)))
    socket.on("close", () => this.#onClose())
    if (socket.closed || (socket.destroyed && socket.errored === null)) queueMicrotask(() => this.#onClose())
  }

  get queuedBytes(): number {
    return this.#socket.writableLength
  }

  attach(sink: PipeSink): void {
    this.#sink = sink
    if (this.#reader !== undefined) this.#reader.borrows = sink.borrows === true
    queueMicrotask(() => (this.#closed ? this.#tell() : this.#wake()))
  }

  send(parts: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (this.#over || this.#closing) return false
    if (parts.length === 1) {
      socket.write(parts[0] as Uint8Array)
    } else {
      socket.cork()
      for (let at = 0; at < parts.length; at++) socket.write(parts[at] as Uint8Array)
      socket.uncork()
    }
    if (socket.writableLength < this.#highWater) return true
    this.#full = true
    return false
  }

  recycle(bytes: Uint8Array): void {
    this.#reader?.recycle(bytes)
  }

  pause(): void {
    this.#paused = true
    // Once closing, bytes are read and dropped: the peer's end stands behind them.
    if (!this.#closing) this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#sink === undefined) return
    if (this.#held === undefined) this.#socket.resume()
    else queueMicrotask(() => this.#wake())
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#closeTimer = this.#clock.after(this.#closeMs, () => {
      this.#fail(new RdvError("timeout", `${this.peer} did not close the link within ${this.#closeMs} ms`))
      abortSocket(this.#socket)
    })
    this.#socket.end()
    // Also when paused or never attached: the peer's end is behind whatever it still sends.
    this.#socket.resume()
  }

  abort(error: RdvError): void {
    if (this.#closed) return
    // Also when the peer has ended and we still flush: what is queued may be reused as soon as this returns.
    this.#fail(error)
    abortSocket(this.#socket)
  }

  /** Delivers what was held back, then lets the socket flow. */
  #wake(): void {
    if (this.#paused || this.#over) return
    const held = this.#held
    if (held !== undefined) {
      this.#held = undefined
      this.#sink?.data(held)
    }
    if (!this.#paused && !this.#over) this.#socket.resume()
  }

  #receive(bytes: Uint8Array): boolean {
    if (this.#over || this.#sink === undefined) return false
    if (!this.#paused) return this.#sink.data(bytes)
    if (this.#closing) return false
    // `resume` and `pause` in one turn can leave one read under way. There is no second one: it would need a resume.
    // What is only lent is copied; the reader hears so.
    const isLent = this.#reader?.borrows === true
    const held = this.#held === undefined ? (isLent ? bytes.slice() : bytes) : concat([this.#held, bytes])
    this.#held = held
    this.#socket.pause()
    return held === bytes
  }

  #onDrain(): void {
    if (!this.#full || this.#over || this.#closing) return
    this.#full = false
    this.#sink?.drain()
  }

  #onEnd(): void {
    if (this.#over) return
    if (this.#closing) {
      // Both have ended: the socket closes by itself as soon as ours is flushed.
      this.#over = true
      return
    }
    this.#fail(new RdvError("link_lost", `${this.peer} closed the link`))
    // What we had queued may still be on its way to a peer that reads; it gets as long as a close would.
    this.#closeTimer = this.#clock.after(this.#closeMs, () => abortSocket(this.#socket))
    this.#socket.destroySoon()
  }

  #fail(reason: RdvError): void {
    if (this.#over) return
    this.#over = true
    this.#reason = reason
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    if (!this.#over) this.#fail(new RdvError("link_lost", `The link to ${this.peer} broke`))
    this.#closeTimer?.cancel()
    this.#reader?.release()
    this.#tell()
  }

  /** Both the end and a sink that comes late lead here. */
  #tell(): void {
    if (this.#told || this.#sink === undefined) return
    this.#told = true
    this.#sink.closed(this.#reason)
  }
}

function broken(peer: string, error: NodeJS.ErrnoException): RdvError {
  return new RdvError("link_lost", `The link to ${peer} broke: ${error.code ?? error.message}`, { cause: error })
}
