/**
 * A stream of a session as a pipe, for chunks of members that have no connection of their own to the relay. The session's
 * flow control is the pipe's: what is not read gives no credit.
 */

import { systemClock } from "../../../base/clock.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { Stream } from "../../../base/stream.ts"
import type { Pipe, PipeSink } from "../../../base/pipe.ts"

export interface StreamPipeOptions {
  readonly clock?: Clock
  /** Who is at the other end, for people. Default `session`. */
  readonly peer?: string
  /** How long `close` waits for the other side to close too, ms. Default 5000. */
  readonly closeMs?: number
}

/** The stream is the pipe's from now on. Its sinks keep nothing of what they get: `data` answers false. */
export function streamPipe(stream: Stream, options: StreamPipeOptions = {}): Pipe {
  return new StreamPipe(stream, options)
}

const defaultCloseMs = 5_000

class StreamPipe implements Pipe {
  readonly kind = "session"
  readonly peer: string
  readonly #stream: Stream
  readonly #clock: Clock
  readonly #closeMs: number
  #sink: PipeSink | undefined
  /** What came while nobody read; the session's window bounds it. */
  readonly #held: Fifo<Uint8Array> = new Fifo()
  #paused = false
  #ended = false
  /** Written since the stream was full; the stream has copies. */
  #queuedBytes = 0
  #closing = false
  #over = false
  #error: RdvError | undefined
  /** Of `abort`, which the stream answers with an error of its own. */
  #reason: RdvError | undefined
  #told = false
  #closeTimer: Timer | undefined

  constructor(stream: Stream, options: StreamPipeOptions) {
    this.#stream = stream
    this.peer = options.peer ?? "session"
    this.#clock = options.clock ?? systemClock
    this.#closeMs = options.closeMs ?? defaultCloseMs
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  attach(sink: PipeSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (!isFirst) return
    if (this.#over) {
      this.#tell()
      return
    }
    this.#stream.attach({
      data: (bytes) => this.#arrived(bytes),
      meta: () => this.abort(new RdvError("protocol", "A metadata block came in a stream of chunks")),
      end: () => {
        this.#ended = true
        this.#wake()
      },
      drain: () => {
        this.#queuedBytes = 0
        if (!this.#over && !this.#closing) this.#sink?.drain()
      },
      closed: (error) => this.#end(error),
    })
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#over || this.#closing) return false
    let takes = this.#queuedBytes === 0
    let bytes = 0
    for (const part of parts) {
      takes = this.#stream.write(part) && takes
      bytes += part.length
    }
    if (!takes && !this.#over) this.#queuedBytes += bytes
    return takes
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#wake()
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#closeTimer = this.#clock.after(this.#closeMs, () =>
      this.abort(new RdvError("timeout", `${this.peer} did not close the stream within ${this.#closeMs} ms`)),
    )
    this.#stream.end()
    this.#wake()
  }

  abort(error: RdvError): void {
    if (this.#over || this.#reason !== undefined) return
    this.#reason = error
    this.#stream.reset(error.code, error.message)
    this.#end(error)
  }

  #arrived(bytes: Uint8Array): void {
    if (this.#paused && !this.#closing && !this.#over) this.#held.push(bytes)
    else this.#deliver(bytes)
  }

  #deliver(bytes: Uint8Array): void {
    if (!this.#closing && !this.#over && bytes.length > 0 && this.#sink?.data(bytes) === true) {
      this.abort(new RdvError("internal", "A sink kept bytes of a stream"))
    }
    this.#stream.consumed(bytes.length)
  }

  /** Delivers what was held back; behind it stands the end. */
  #wake(): void {
    while (this.#held.length > 0 && (!this.#paused || this.#closing)) this.#deliver(this.#held.shift() as Uint8Array)
    // When both have ended, the stream closes by itself.
    if (!this.#ended || this.#over || this.#closing || this.#held.length > 0) return
    this.#reason = new RdvError("link_lost", `${this.peer} closed the stream`)
    // What waits still goes out.
    this.#stream.end()
    this.#end(this.#reason)
  }

  #end(error: RdvError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#error = this.#reason ?? error
    this.#closeTimer?.cancel()
    this.#queuedBytes = 0
    for (let bytes = this.#held.shift(); bytes !== undefined; bytes = this.#held.shift())
      this.#stream.consumed(bytes.length)
    this.#tell()
  }

  #tell(): void {
    if (this.#told || this.#sink === undefined) return
    this.#told = true
    this.#sink.closed(this.#error)
  }
}
