/**
 * A pipe over a socket of Node, between members: writes by reference, reads with memory that is used again
 * (`sockets/socket-reader.ts`).
 */

import type { Socket } from "node:net"
import { systemClock } from "../../../base/clock.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { concat } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { adoptSocket, plainBytes, SocketReader } from "../../../sockets/socket-reader.ts"
import type { Pipe, PipeSink } from "../paths/pipe.ts"

export interface SocketPipeOptions {
  readonly peer: string
  /** The reader that the socket was made with. Without one, the socket is read by `data` events. */
  readonly reader?: SocketReader
  readonly clock?: Clock
  /** How long `close` waits for the peer to close too, before it cuts, ms. Default 5000. */
  readonly closeMs?: number
}

const defaultCloseMs = 5_000
/** `send` answers false while so much waits for the kernel, bytes. */
const highWaterBytes = 131_072

/** Takes over a connected socket whose `allowHalfOpen` is set. It stays paused until `attach`. */
export function socketPipe(socket: Socket, options: SocketPipeOptions): Pipe {
  return new SocketPipe(socket, options)
}

/** The same for a socket that a server made; `tryAdoption` has to be done. The given object is dead afterwards. */
export function acceptedPipe(socket: Socket, options: Omit<SocketPipeOptions, "reader">): Pipe {
  const reader = new SocketReader()
  const adopted = adoptSocket(socket, reader)
  return adopted === undefined ? new SocketPipe(socket, options) : new SocketPipe(adopted, { ...options, reader })
}

class SocketPipe implements Pipe {
  readonly kind = "tcp"
  readonly peer: string
  readonly #socket: Socket
  readonly #reader: SocketReader | undefined
  readonly #clock: Clock
  readonly #closeMs: number
  readonly #highWater: number
  #sink: PipeSink | undefined
  /** Read in the moment between `pause` and the kernel hearing of it. */
  #held: Uint8Array | undefined
  #full = false
  #paused = false
  #closing = false
  #over = false
  #reason: RdvError | undefined
  #closed = false
  #told = false
  #closeTimer: Timer | undefined

  constructor(socket: Socket, options: SocketPipeOptions) {
    this.peer = options.peer
    this.#socket = socket
    this.#reader = options.reader
    this.#clock = options.clock ?? systemClock
    this.#closeMs = options.closeMs ?? defaultCloseMs
    // Node emits `drain` only after a write went above its own mark, so ours is never below it.
    this.#highWater = Math.max(highWaterBytes, socket.writableHighWaterMark)
    socket.setNoDelay(true)
    // Explicitly paused, a socket does not begin to flow when it gets its "data" handler.
    socket.pause()
    if (this.#reader === undefined) socket.on("data", (bytes) => void this.#receive(plainBytes(bytes)))
    else this.#reader.receive = (bytes) => this.#receive(bytes)
    socket.on("drain", () => this.#onDrain())
    socket.on("end", () => this.#onEnd())
    socket.on("error", (error: NodeJS.ErrnoException) =>
      this.#fail(new RdvError("link_lost", `The connection to ${this.peer} broke: ${error.code ?? error.message}`)),
    )
    socket.on("close", () => this.#onClose())
    if (socket.destroyed) queueMicrotask(() => this.#onClose())
  }

  get queuedBytes(): number {
    return this.#socket.writableLength
  }

  attach(sink: PipeSink): void {
    this.#sink = sink
    queueMicrotask(() => (this.#closed ? this.#tell() : this.#wake()))
  }

  send(parts: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (this.#over || this.#closing) return false
    if (parts.length === 1) socket.write(parts[0] as Uint8Array)
    else {
      socket.cork()
      for (let at = 0; at < parts.length; at++) socket.write(parts[at] as Uint8Array)
      socket.uncork()
    }
    if (socket.writableLength < this.#highWater) return true
    this.#full = true
    return false
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
      this.#fail(new RdvError("timeout", `${this.peer} did not close the connection within ${this.#closeMs} ms`))
      this.#cut()
    })
    this.#socket.end()
    this.#socket.resume()
  }

  abort(error: RdvError): void {
    if (this.#closed) return
    this.#fail(error)
    this.#cut()
  }

  /** At once, also while it flushes: what is queued may be used again when this returns. */
  #cut(): void {
    if (this.#socket.writableEnded) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

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
    this.#held = this.#held === undefined ? bytes : concat([this.#held, bytes])
    this.#socket.pause()
    return true
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
    this.#fail(new RdvError("link_lost", `${this.peer} closed the connection`))
    // What waits may still reach a peer that reads; it gets as long as a close would.
    this.#closeTimer = this.#clock.after(this.#closeMs, () => this.#cut())
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
    if (!this.#over) this.#fail(new RdvError("link_lost", `The connection to ${this.peer} broke`))
    this.#closeTimer?.cancel()
    this.#reader?.release()
    this.#tell()
  }

  #tell(): void {
    if (this.#told || this.#sink === undefined) return
    this.#told = true
    this.#sink.closed(this.#reason)
  }
}
