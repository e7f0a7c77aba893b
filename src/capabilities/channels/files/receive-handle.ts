/**
 * An open file that receives. One request at a time waits for a message; what the client sends meanwhile stands behind it.
 *
 * Proof. A message is answered, and the next request on the fid that is no re-read shows that the client has it: it is sent
 * behind the copy into the program's buffer. So does a clunk, also of a message that was read in part. A lost connection
 * proves nothing: the message goes back. For channels with the grade `done`, the next request for a message or the clunk
 * counts as done; who wants to say so himself takes from `take`.
 */

import { concat, emptyBytes } from "../../../base/bytes.ts"
import type { Timer } from "../../../base/clock.ts"
import type { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import { utf8Encode } from "../../../base/text.ts"
import type { Handle, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Channel } from "../core/channel.ts"
import type { Delivery, Receiving } from "../core/parties.ts"
import type { Reader } from "../core/reader.ts"
import type { Acks } from "./acks.ts"
import { errnoOf } from "./errno-of.ts"
import { MessageWindow } from "./message-window.ts"
import type { Patience } from "./role-name.ts"
import type { TailProgress } from "./tail-progress.ts"

export interface ReceiveWays extends Patience {
  readonly clock: { after(delayMs: number, callback: () => void): Timer }
  /** One message, then the end of the file. */
  readonly isOne?: boolean
  /** What is there, else the end of the file. */
  readonly tail?: TailProgress
  /** Messages come with an id and are acknowledged by it. */
  readonly acks?: Acks
}

export class ReceiveHandle implements Handle, Receiving {
  readonly #channel: Channel
  readonly #ways: ReceiveWays
  readonly #reader: Reader
  readonly #window: MessageWindow = new MessageWindow()
  /** Waits for a message. */
  #request: ReadRequest | undefined
  #deadline: Timer | undefined
  /** Behind it. */
  readonly #queue: Fifo<ReadRequest> = new Fifo()
  /** Withdrawn while they stood there. */
  readonly #flushed: WeakSet<ReadRequest> = new WeakSet()
  /** Not proven yet. */
  #delivery: Delivery | undefined
  /** What was taken and is not acknowledged. */
  readonly #ids: Set<string> = new Set()
  #hasHad = false
  #isServing = false
  readonly #withdraw: () => void = () => this.#forget()

  /** Joins the channel: a multicast's messages are for this file from here on. Throws `removed`, `limit`. */
  constructor(channel: Channel, ways: ReceiveWays) {
    this.#channel = channel
    this.#ways = ways
    this.#reader = channel.reader()
    ways.tail?.join(this.#reader)
  }

  read(request: ReadRequest): void {
    if (this.#request === undefined && this.#queue.length === 0) {
      this.#serve(request)
      return
    }
    this.#queue.push(request)
    request.onFlush = () => void this.#flushed.add(request)
  }

  write(request: WriteRequest): void {
    request.fail(new NinepError("EBADF", "This file is for receiving"))
  }

  close(gone: boolean): void {
    this.#deadline?.cancel()
    this.#request = undefined
    this.#queue.clear()
    this.#ways.tail?.leave(this.#reader)
    if (!gone) this.#prove()
    const { acks } = this.#ways
    // What was taken outlives the file that it was taken from, until its lease is over. Without a lease it is bound to the file.
    if (acks !== undefined && !gone && this.#channel.settings.leaseMs > 0) {
      this.#reader.retire()
      return
    }
    for (const id of this.#ids) acks?.drop(id)
    this.#reader.leave(gone ? "has lost its connection" : "has closed the file")
  }

  take(delivery: Delivery): void {
    const request = this.#request as ReadRequest
    this.#settle()
    this.#hasHad = true
    let bytes = delivery.bytes
    const { acks, tail } = this.#ways
    if (acks === undefined) this.#delivery = delivery
    else {
      const id = acks.add(delivery, this.#channel.settings.leaseMs, this.#ids)
      bytes = concat([utf8Encode(`${id}\t`), bytes])
    }
    tail?.count(bytes.length)
    this.#window.begin(request.offset, bytes)
    request.answer(this.#window.read(request.offset, request.count, request.full) ?? emptyBytes)
    // `tail -f` comes back only for the next message: what it was sent counts as seen.
    if (tail !== undefined) this.#prove()
    this.#goOn()
  }

  failed(error: RdvError): void {
    const request = this.#request as ReadRequest
    this.#settle()
    this.#refuse(request, error)
    this.#goOn()
  }

  #serve(request: ReadRequest): void {
    const answer = this.#window.read(request.offset, request.count, request.full)
    if (answer !== undefined) {
      if (answer.length === 0) this.#seen()
      request.answer(answer)
      return
    }
    this.#prove()
    if (this.#ways.isOne === true && this.#hasHad) {
      request.answer(emptyBytes)
      return
    }
    this.#request = request
    request.onFlush = this.#withdraw
    this.#isServing = true
    this.#reader.receive(this)
    this.#isServing = false
    if (this.#request === request) this.#wait(request)
  }

  /** Nothing is there yet. */
  #wait(request: ReadRequest): void {
    const { isTry, tail, deadlineMs, clock } = this.#ways
    if (isTry || tail !== undefined) {
      this.#reader.withdraw(this)
      this.#settle()
      if (tail !== undefined) request.answer(emptyBytes)
      else request.fail(new NinepError("EAGAIN", `Nothing is in ${this.#channel.path}`))
      return
    }
    const ms = deadlineMs ?? this.#channel.settings.timeoutMs
    if (ms > 0) this.#deadline = clock.after(ms, () => this.#expire())
  }

  #expire(): void {
    const request = this.#request
    if (request === undefined || !this.#reader.withdraw(this)) return
    this.#settle()
    this.#channel.countExpired()
    request.fail(new NinepError("ETIMEDOUT", `No message came to ${this.#channel.path} in time`))
    this.#goOn()
  }

  /** The client does not want it any more. A waiting receive has taken nothing: it is matched and answered in one go. */
  #forget(): void {
    this.#reader.withdraw(this)
    this.#settle()
    this.#goOn()
  }

  #settle(): void {
    this.#deadline?.cancel()
    this.#deadline = undefined
    if (this.#request !== undefined) this.#request.onFlush = undefined
    this.#request = undefined
  }

  /** The next request of the queue, in a turn of its own: here the channel may be in the middle of something. */
  #goOn(): void {
    if (this.#queue.length > 0 && !this.#isServing) queueMicrotask(() => this.#serveQueue())
  }

  #serveQueue(): void {
    while (this.#request === undefined) {
      const request = this.#queue.shift()
      if (request === undefined) return
      if (this.#flushed.has(request)) continue
      request.onFlush = undefined
      this.#serve(request)
    }
  }

  #refuse(request: ReadRequest, error: RdvError): void {
    // Closed and empty: the end of the stream is the end of the file.
    if (error.code === "closed") request.answer(emptyBytes)
    else request.fail(errnoOf(error))
  }

  #seen(): void {
    this.#delivery?.seen()
    this.#window.shrink()
  }

  #prove(): void {
    this.#delivery?.done()
    this.#delivery = undefined
  }
}
