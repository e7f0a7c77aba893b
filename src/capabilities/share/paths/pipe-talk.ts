/**
 * The first words on a connection, before its pipe is handed to whoever lives with it: so many bytes are read, some are
 * said, and all of it within a deadline. Nothing that came behind those bytes is lost.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { concat, emptyBytes } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import type { Pipe, PipeSink } from "../../../base/pipe.ts"

export interface PipeTalkOptions {
  readonly clock: Clock
  /** For all of it, ms. */
  readonly deadlineMs: number
  /** Bytes that were read from the pipe before. */
  readonly head?: Uint8Array
  readonly signal?: AbortSignal | undefined
}

/** What comes before it is asked for is kept up to this; then the pipe waits. */
const mostHeldBytes = 4_096

export class PipeTalk {
  readonly #pipe: Pipe
  readonly #signal: AbortSignal | undefined
  readonly #timer: Timer
  #held: Uint8Array
  #wanted = 0
  #waiting: PromiseWithResolvers<Uint8Array> | undefined
  #end: { readonly error: RdvError | undefined } | undefined
  #done = false

  /** The pipe is the talk's until `handOver` or `fail`. */
  constructor(pipe: Pipe, options: PipeTalkOptions) {
    this.#pipe = pipe
    this.#held = options.head ?? emptyBytes
    this.#signal = options.signal
    this.#timer = options.clock.after(options.deadlineMs, () =>
      this.fail(new RdvError("timeout", `${pipe.peer} did not answer within ${options.deadlineMs} ms`)),
    )
    options.signal?.addEventListener("abort", this.#onAbort, { once: true })
    pipe.attach({
      data: (bytes) => {
        this.#held = concat([this.#held, bytes])
        this.#look()
        if (!this.#done && this.#held.length > mostHeldBytes) pipe.pause()
        return false
      },
      drain: () => undefined,
      closed: (error) => {
        this.#end = { error }
        this.#quit()
        this.#look()
      },
    })
    if (options.signal?.aborted) this.#onAbort()
    else pipe.resume()
  }

  /** The next `count` bytes. Rejects when the pipe ends before, or the talk has failed. One at a time. */
  read(count: number): Promise<Uint8Array> {
    this.#wanted = count
    this.#waiting = Promise.withResolvers()
    const { promise } = this.#waiting
    if (!this.#done && this.#held.length < count) this.#pipe.resume()
    this.#look()
    return promise
  }

  say(bytes: Uint8Array): void {
    if (this.#end === undefined) this.#pipe.send([bytes])
  }

  /** Ends the pipe with this error; a `read` that waits rejects with it. */
  fail(error: RdvError): void {
    if (this.#done || this.#end !== undefined) return
    this.#end = { error }
    this.#quit()
    this.#pipe.abort(error)
    this.#look()
  }

  /** The pipe for whoever lives with it; what was read too much comes first. */
  handOver(): Pipe {
    this.#quit()
    this.#done = true
    this.#pipe.pause()
    return new HandedPipe(this.#pipe, this.#held, () => this.#end)
  }

  readonly #onAbort = (): void => {
    const { reason } = this.#signal as AbortSignal
    this.fail(reason instanceof RdvError ? reason : new RdvError("cancelled", "Nobody waits for it any more"))
  }

  #look(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    if (this.#held.length >= this.#wanted) {
      this.#waiting = undefined
      waiting.resolve(this.#held.slice(0, this.#wanted))
      this.#held = this.#held.slice(this.#wanted)
    } else if (this.#end !== undefined) {
      this.#waiting = undefined
      waiting.reject(this.#end.error ?? new RdvError("link_lost", `${this.#pipe.peer} closed the connection`))
    }
  }

  #quit(): void {
    this.#timer.cancel()
    this.#signal?.removeEventListener("abort", this.#onAbort)
  }
}

class HandedPipe implements Pipe {
  readonly #pipe: Pipe
  #head: Uint8Array
  readonly #end: () => { readonly error: RdvError | undefined } | undefined

  constructor(pipe: Pipe, head: Uint8Array, end: () => { readonly error: RdvError | undefined } | undefined) {
    this.#pipe = pipe
    this.#head = head
    this.#end = end
  }

  get kind(): string {
    return this.#pipe.kind
  }

  get peer(): string {
    return this.#pipe.peer
  }

  get queuedBytes(): number {
    return this.#pipe.queuedBytes
  }

  attach(sink: PipeSink): void {
    const head = this.#head
    this.#head = emptyBytes
    if (head.length > 0) sink.data(head)
    const end = this.#end()
    if (end !== undefined) {
      // The talk was told, and nobody is told twice.
      sink.closed(end.error)
      return
    }
    this.#pipe.attach(sink)
    this.#pipe.resume()
  }

  send(parts: readonly Uint8Array[]): boolean {
    return this.#pipe.send(parts)
  }

  pause(): void {
    this.#pipe.pause()
  }

  resume(): void {
    this.#pipe.resume()
  }

  close(): void {
    this.#pipe.close()
  }

  abort(error: RdvError): void {
    this.#pipe.abort(error)
  }
}
