/**
 * Two streams in one process that are each other's peer: what a session's stream is, without a session. For channels that
 * are used where they live, and for tests. What is written arrives in a microtask.
 */

import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"

/** The opener's end and the accepter's. */
export function loopStreams(service: string, header: JsonObject): readonly [near: Stream, far: Stream] {
  const near = new LoopStream(service, header)
  const far = new LoopStream(service, header)
  near.join(far)
  far.join(near)
  return [near, far]
}

type Item =
  | Uint8Array
  | { readonly meta: JsonObject }
  | { readonly end: true }
  | { readonly error: RdvError | undefined }

class LoopStream implements Stream {
  readonly id = 1
  readonly service: string
  readonly header: JsonObject
  #peer: LoopStream | undefined
  #sink: StreamSink | undefined
  readonly #arrived: Fifo<Item> = new Fifo()
  #isScheduled = false
  /** Written here and not consumed there. */
  #unread = 0
  #full = false
  #hasEnded = false
  #peerHasEnded = false
  #isClosed = false

  constructor(service: string, header: JsonObject) {
    this.service = service
    this.header = header
  }

  join(peer: LoopStream): void {
    this.#peer = peer
  }

  get #other(): LoopStream {
    return this.#peer as LoopStream
  }

  attach(sink: StreamSink): void {
    this.#sink = sink
    this.#schedule()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#hasEnded || this.#isClosed || chunk.length === 0) return !this.#full
    this.#other.put(new Uint8Array(chunk))
    this.#unread += chunk.length
    if (this.#unread >= fullBytes) this.#full = true
    return !this.#full
  }

  meta(block: { readonly [key: string]: Json | undefined }): boolean {
    if (!this.#hasEnded && !this.#isClosed) this.#other.put({ meta: JSON.parse(JSON.stringify(block)) as JsonObject })
    return !this.#full
  }

  end(): void {
    if (this.#hasEnded || this.#isClosed) return
    this.#hasEnded = true
    this.#other.put({ end: true })
    this.#closeWhenEnded()
  }

  reset(code: ErrorCode, reason = ""): void {
    if (this.#isClosed) return
    const text = reason === "" ? undefined : reason
    this.#other.put({ error: new RdvError(code, text, { origin: "remote" }) })
    this.#close(new RdvError(code, text))
  }

  consumed(bytes: number): void {
    this.#other.read(bytes)
  }

  /** For the peer. */
  read(bytes: number): void {
    this.#unread -= bytes
    if (!this.#full || this.#unread * 2 >= fullBytes || this.#isClosed) return
    this.#full = false
    // Never from within the call that consumed.
    queueMicrotask(() => {
      if (!this.#isClosed) this.#sink?.drain()
    })
  }

  /** For the peer. */
  put(item: Item): void {
    if (this.#isClosed) return
    this.#arrived.push(item)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#sink === undefined) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const sink = this.#sink
    while (sink !== undefined && !this.#isClosed) {
      const item = this.#arrived.shift()
      if (item === undefined) return
      if (item instanceof Uint8Array) sink.data(item)
      else if ("meta" in item) sink.meta(item.meta)
      else if ("end" in item) {
        this.#peerHasEnded = true
        sink.end()
        this.#closeWhenEnded()
      } else this.#close(item.error)
    }
  }

  #closeWhenEnded(): void {
    if (this.#hasEnded && this.#peerHasEnded) this.#close(undefined)
  }

  #close(error: RdvError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#arrived.clear()
    queueMicrotask(() => this.#sink?.closed(error))
  }
}

const fullBytes = 256 * 1024
