/**
 * The client's half of a conversation: requests with their tags, any number of them under way, and the answers to them in
 * whatever order. Reading and writing take callbacks and make no garbage; everything else is a promise.
 *
 *     request ─▶ tag ─▶ Outbox ─▶ link ─▶ Frames ─▶ tag ─▶ Reply
 */

import type { ByteLink } from "./byte-link.ts"
import { u32At } from "./byte-reader.ts"
import { decode, encodeInto, messageBytes, nameOfType } from "./codec.ts"
import { putTread, putTwriteHead, treadBytes } from "./data-heads.ts"
import { NinepError } from "./errno.ts"
import { Frames } from "./frames.ts"
import { headerBytes, messageType, NOTAG, readHeaderBytes, writeHeaderBytes } from "./message.ts"
import type { Answer, Dialect, MessageOf, Request, U64 } from "./message.ts"
import { Numbers } from "./numbers.ts"
import { Outbox } from "./outbox.ts"
import { NinepProtocolError } from "./protocol-error.ts"
import { LinkLostError, RemoteError } from "./remote-error.ts"

/** Who waits for an answer. Exactly one of the two is called, once, and never from within the call that sent the request. */
export interface Reply {
  /** The whole answer `bytes[start, end)`, of the type that belongs to the request; valid during the call alone. */
  answered(bytes: Uint8Array, start: number, end: number): void
  /** A `RemoteError` that the server answered, a `LinkLostError`, or `EINTR` when the request was flushed. */
  failed(error: NinepError): void
}

export interface CallsOptions {
  readonly link: ByteLink
  /** The largest message that this side takes, until a version was agreed on. */
  readonly msize: number
  /** Requests that may be under way; more are `ENOBUFS`. Tflush comes on top. */
  readonly mostCalls: number
  /** The conversation is over; the error tells why, unless `close` was called here. */
  readonly onClose?: (error: Error | undefined) => void
}

/** What a request becomes by its answer. */
export type AnswerTo<Of extends Request> = Of["type"] extends `T${infer Name}`
  ? MessageOf<Extract<`R${Name}`, Answer["type"]>>
  : never

/** Half of all tags: each request may need another one for its Tflush. */
const mostTags = 32767

/** Bytes that wait here because the link is full: above the first `call` waits, above the second nothing is taken. */
const fullBytes = 256 * 1024
const mostQueuedBytes = 4 * 1024 * 1024

export class Calls {
  readonly #link: ByteLink
  readonly #frames: Frames
  readonly #outbox: Outbox
  readonly #tags: Numbers
  readonly #onClose: ((error: Error | undefined) => void) | undefined
  /** By tag. */
  readonly #replies: (Reply | undefined)[] = []
  readonly #types: number[] = []
  /** A flushed tag is free when its Rflush is there, whatever came before: flush(5). */
  readonly #flushed = new Set<number>()
  #version: Reply | undefined
  #rooms: (() => void)[] = []
  #dialect: Dialect = "9P2000"
  #msize: number
  #over: LinkLostError | undefined

  constructor({ link, msize, mostCalls, onClose }: CallsOptions) {
    this.#link = link
    this.#msize = msize
    this.#tags = new Numbers(Math.min(mostCalls, mostTags))
    this.#onClose = onClose
    this.#outbox = new Outbox(link)
    this.#frames = new Frames(msize, (bytes, start, end) => this.#message(bytes, start, end))
    link.onData = (bytes) => this.#push(bytes)
    link.onDrain = () => this.#drain()
    link.onClose = (error) => this.#end(new LinkLostError(error?.message ?? "The other side has closed", error), error)
  }

  get dialect(): Dialect {
    return this.#dialect
  }

  /** The largest message, as agreed on. */
  get msize(): number {
    return this.#msize
  }

  /** Requests under way. */
  get underWay(): number {
    return this.#tags.taken
  }

  /** True while the link takes less than is sent: whoever uses `read`, `write` and `forward` should wait for `room`. */
  get full(): boolean {
    return this.#outbox.full && this.#outbox.queuedBytes > fullBytes
  }

  /** Settles when `full` is false, or when the conversation is over. */
  room(): Promise<void> {
    if (!this.full || this.#over !== undefined) return Promise.resolve()
    return new Promise((resolve) => void this.#rooms.push(resolve))
  }

  /** What was agreed on by Tversion. */
  agree(dialect: Dialect, msize: number): void {
    this.#dialect = dialect
    this.#msize = msize
    this.#frames.msize = msize
  }

  /** Sends the request with a tag of its own in place of its `tag`; returns that. Throws when it cannot be sent. */
  send(request: Request, reply: Reply): number {
    const size = messageBytes(request, this.#dialect)
    const tag =
      request.type === "Tversion" ? this.#takeVersion(reply) : this.#take(size, messageType[request.type], reply)
    const at = this.#outbox.reserve(size)
    encodeInto({ ...request, tag }, this.#dialect, this.#outbox.bytes, at)
    return tag
  }

  /** Sends an encoded request of this dialect as it is, but for its tag. Throws `ENOBUFS`, `EMSGSIZE`, `LinkLostError`. */
  forward(bytes: Uint8Array, start: number, end: number, reply: Reply): number {
    const size = end - start
    const tag = this.#take(size, bytes[start + 4] as number, reply)
    const at = this.#outbox.reserve(size)
    const into = this.#outbox.bytes
    into.set(bytes.subarray(start, end), at)
    into[at + 5] = tag
    into[at + 6] = tag >>> 8
    return tag
  }

  /** Tread. The data of its answer begin `readHeaderBytes` behind the start. Throws as `forward`. */
  read(fid: number, offset: U64, count: number, reply: Reply): number {
    const tag = this.#take(treadBytes, messageType.Tread, reply)
    const at = this.#outbox.reserve(treadBytes)
    putTread(this.#outbox.bytes, at, tag, fid, offset, count)
    return tag
  }

  /** Twrite; the bytes are copied. `writtenCount` reads its answer. Throws as `forward`. */
  write(fid: number, offset: U64, data: Uint8Array, reply: Reply): number {
    const size = writeHeaderBytes + data.length
    const tag = this.#take(size, messageType.Twrite, reply)
    const at = this.#outbox.reserve(size)
    const into = this.#outbox.bytes
    into.set(data, putTwriteHead(into, at, tag, fid, offset, data.length))
    return tag
  }

  /**
   * Tflush: the request is withdrawn, unless its answer comes first; that one counts then, as flush(5) demands. Its reply
   * hears one or the other. Nothing happens when it has been answered.
   */
  flush(oldtag: number): void {
    if (this.#over !== undefined || this.#replies[oldtag] === undefined || this.#flushed.has(oldtag)) return
    const settle = () => this.#flushedFully(oldtag)
    // As many flushes as there are requests: there is a tag for each.
    const tag = this.#tags.take(mostTags) as number
    this.#flushed.add(oldtag)
    this.#replies[tag] = { answered: settle, failed: settle }
    this.#types[tag] = messageType.Tflush
    const at = this.#outbox.reserve(headerBytes + 2)
    encodeInto({ type: "Tflush", tag, oldtag }, this.#dialect, this.#outbox.bytes, at)
  }

  /**
   * Sends any request and gives its answer, error answers among them, as they are. When the signal fires it is flushed, and
   * rejects with the signal's reason; an answer that comes first counts. Rejects with `NinepError`s as `send` throws.
   */
  async call(request: Request, signal?: AbortSignal): Promise<Answer> {
    try {
      return await this.ask(request, signal)
    } catch (error) {
      if (error instanceof RemoteError) return error.answer
      throw error
    }
  }

  /** As `call`, but error answers reject as `RemoteError`. */
  async ask<Of extends Request>(request: Of, signal?: AbortSignal): Promise<AnswerTo<Of>> {
    signal?.throwIfAborted()
    while (this.full && this.#over === undefined) await this.room()
    return this.promise(
      (reply) => this.send(request, reply),
      (bytes) => this.#decode(bytes) as AnswerTo<Of>,
      signal,
    )
  }

  /** A request as a promise: `start` sends it, `read` makes its result while the bytes are valid. */
  promise<T>(start: (reply: Reply) => number, read: (answer: Uint8Array) => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const abort = () => this.flush(tag)
      const tag = start({
        answered(bytes, from, to) {
          signal?.removeEventListener("abort", abort)
          try {
            resolve(read(bytes.subarray(from, to)))
          } catch (error) {
            reject(error as Error)
          }
        },
        failed(error) {
          signal?.removeEventListener("abort", abort)
          reject(error.errno === "EINTR" && signal?.aborted === true ? (signal.reason as Error) : error)
        },
      })
      signal?.addEventListener("abort", abort, { once: true })
    })
  }

  /** Ends the conversation; whoever still waits for an answer hears a `LinkLostError`. */
  close(): void {
    if (this.#over !== undefined) return
    this.#outbox.flush()
    this.#end(new LinkLostError("The conversation was closed here"), undefined)
    this.#link.close()
  }

  #decode(bytes: Uint8Array): Answer {
    try {
      return decode(bytes, this.#dialect, "R")
    } catch (error) {
      // With a text that 9P forbids only this answer is lost.
      if (error instanceof NinepProtocolError && error.flaw === "broken") this.#break(error)
      throw new NinepError("EPROTO", `The server's answer cannot be read: ${(error as Error).message}`)
    }
  }

  /** Takes a tag for a request, which must be sent then. */
  #take(size: number, type: number, reply: Reply): number {
    if (this.#over !== undefined) throw this.#over
    if (size > this.#msize)
      throw new NinepError("EMSGSIZE", `A 9P message of ${size} bytes; at most ${this.#msize} were agreed on`)
    if (this.#outbox.queuedBytes + size > mostQueuedBytes && this.#outbox.full)
      throw new NinepError("ENOBUFS", "The 9P server does not take what is sent to it")
    const tag = this.#tags.take()
    if (tag === undefined) throw new NinepError("ENOBUFS", "Too many 9P requests are under way")
    this.#replies[tag] = reply
    this.#types[tag] = type
    return tag
  }

  #takeVersion(reply: Reply): number {
    if (this.#over !== undefined) throw this.#over
    this.#version = reply
    return NOTAG
  }

  #push(bytes: Uint8Array): void {
    if (this.#over !== undefined) return
    try {
      this.#frames.push(bytes)
    } catch (error) {
      if (!(error instanceof NinepProtocolError)) throw error
      this.#break(error)
    }
  }

  #message(bytes: Uint8Array, start: number, end: number): void {
    const type = bytes[start + 4] as number
    const tag = (bytes[start + 5] as number) | ((bytes[start + 6] as number) << 8)
    const reply = tag === NOTAG ? this.#version : this.#replies[tag]
    if (reply === undefined) throw new NinepProtocolError("broken", `An answer to no request, tag ${tag}`)
    const isError = type === messageType.Rlerror || type === messageType.Rerror
    const asked = tag === NOTAG ? messageType.Tversion : (this.#types[tag] as number)
    if (type !== asked + 1 && !isError)
      throw new NinepProtocolError("broken", `${nameOfType(type) ?? `Type ${type}`} answers ${nameOfType(asked)}`)
    if (tag === NOTAG) this.#version = undefined
    else {
      this.#replies[tag] = undefined
      if (this.#flushed.size === 0 || !this.#flushed.has(tag)) this.#tags.give(tag)
    }
    if (isError) reply.failed(this.#remoteError(bytes.subarray(start, end)))
    else if (isSound(type, bytes, start, end)) reply.answered(bytes, start, end)
    else {
      reply.failed(new NinepError("EPROTO", "The server's answer cannot be read"))
      throw new NinepProtocolError("broken", `${nameOfType(type)} has another length than it says`)
    }
  }

  #remoteError(bytes: Uint8Array): NinepError {
    try {
      const answer = decode(bytes, this.#dialect, "R")
      return new RemoteError(answer as MessageOf<"Rerror" | "Rlerror">)
    } catch (error) {
      return new NinepError("EPROTO", `The server's error cannot be read: ${(error as Error).message}`)
    }
  }

  #flushedFully(oldtag: number): void {
    this.#flushed.delete(oldtag)
    const reply = this.#replies[oldtag]
    this.#replies[oldtag] = undefined
    this.#tags.give(oldtag)
    reply?.failed(new NinepError("EINTR", "The 9P request was withdrawn"))
  }

  #drain(): void {
    this.#outbox.drain()
    if (this.full) return
    const rooms = this.#rooms
    this.#rooms = []
    for (const tell of rooms) tell()
  }

  #break(error: NinepProtocolError): void {
    this.#end(new LinkLostError(`The 9P server broke the protocol: ${error.message}`, error), error)
    this.#link.close()
  }

  #end(lost: LinkLostError, error: Error | undefined): void {
    if (this.#over !== undefined) return
    this.#over = lost
    this.#frames.stop()
    this.#outbox.stop()
    const replies = [this.#version, ...this.#replies]
    this.#version = undefined
    this.#replies.length = 0
    // Flushes hear of it like the rest: what they withdraw has heard before, or hears now.
    this.#flushed.clear()
    for (const reply of replies) reply?.failed(lost)
    for (const tell of this.#rooms.splice(0)) tell()
    this.#onClose?.(error)
  }
}

/** The count of an Rwrite. */
export function writtenCount(bytes: Uint8Array, start: number): number {
  return u32At(bytes, start + headerBytes)
}

/** Those answers that are read without `decode` have the length that they say. */
function isSound(type: number, bytes: Uint8Array, start: number, end: number): boolean {
  if (type === messageType.Rread)
    return end - start >= readHeaderBytes && u32At(bytes, start + headerBytes) === end - start - readHeaderBytes
  return type !== messageType.Rwrite || end - start === headerBytes + 4
}
