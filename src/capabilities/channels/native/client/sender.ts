/**
 * The client's side of a stream that sends. Messages go out in order, as many as the server's window takes, and each of them
 * hears once what became of it. When the session is lost, those that were sent and not confirmed fail with `link_lost`,
 * because nobody can know; those that were not sent yet go out on the next one.
 */

import type { Timer } from "../../../../base/clock.ts"
import { codeFromNumber, RdvError } from "../../../../base/error.ts"
import type { JsonObject } from "../../../../base/json.ts"
import type { Stream } from "../../../../base/stream.ts"
import { utf8Decode } from "../../../../base/text.ts"
import { Line } from "../../core/line.ts"
import type { Member } from "../../core/line.ts"
import { FrameReader } from "../frame-reader.ts"
import type { FrameSink } from "../frame-reader.ts"
import { FrameWriter } from "../frame-writer.ts"
import { readU16, readU64 } from "../numbers.ts"
import { forever, frameExtraBytes, frameKind, readReady } from "../protocol.ts"
import type { Ready } from "../protocol.ts"
import { isLost, Lane } from "./connection.ts"
import type { Connection, LaneOwner } from "./connection.ts"

/** Hears once what became of a message: without an error it has arrived. */
export type Settled = (error: RdvError | undefined) => void

/** A message on its way; for `withdraw`. */
export class Ticket implements Member<Ticket> {
  previous: Ticket | undefined
  next: Ticket | undefined
  line: Line<Ticket> | undefined
  readonly bytes: Uint8Array
  readonly settled: Settled
  /** When it is too late; a clock's time, Infinity for never, 0: at once. */
  readonly until: number
  /** Its place on the stream; -1: not sent. */
  number = -1
  timer: Timer | undefined
  /** What the sender hears in place of `cancelled`. */
  withdrawnWith: RdvError | undefined

  constructor(bytes: Uint8Array, settled: Settled, until: number) {
    this.bytes = bytes
    this.settled = settled
    this.until = until
  }
}

export class Sender implements LaneOwner, FrameSink {
  readonly #connection: Connection
  readonly #path: string
  readonly #lane: Lane
  readonly #queue: Line<Ticket> = new Line()
  readonly #sent: Line<Ticket> = new Line()
  #sentBytes = 0
  #next = 0
  #ready: Ready | undefined
  #out: FrameWriter | undefined
  #frames: FrameReader | undefined
  #isPumping = false
  #isClosed = false
  #closing: PromiseWithResolvers<void> | undefined
  /** Run once when `hasRoom` has become true. */
  #rooms: (() => void)[] = []

  /** `header` is that of the stream. */
  constructor(connection: Connection, path: string, header: JsonObject) {
    this.#connection = connection
    this.#path = path
    this.#lane = new Lane(connection, header, this)
  }

  /** False while messages wait to be sent: whoever can, waits for `whenRoom`. */
  get hasRoom(): boolean {
    return this.#queue.length === 0
  }

  /** Calls back when `hasRoom` is true, never before this returns. */
  whenRoom(callback: () => void): void {
    if (this.hasRoom) queueMicrotask(callback)
    else this.#rooms.push(callback)
  }

  /** Not settled yet. */
  get unsettled(): number {
    return this.#queue.length + this.#sent.length
  }

  /**
   * Sends, or queues when the window is full. The bytes must not change before `settled`, which may be called before this
   * returns. `ms` from now on the message is withdrawn when it has no receiver; 0: at once.
   */
  send(bytes: Uint8Array, settled: Settled, ms: number = forever): Ticket {
    const until = ms === forever ? Infinity : ms === 0 ? 0 : this.#connection.clock.now() + ms
    const ticket = new Ticket(bytes, settled, until)
    if (this.#isClosed) {
      settled(new RdvError("closed", `The sender to ${this.#path} is closed`))
    } else if (this.#queue.length >= maxQueued) {
      settled(new RdvError("limit", `${maxQueued} messages to ${this.#path} wait here`, { mend: "wait for each send" }))
    } else {
      this.#queue.push(ticket)
      if (this.#queue.length === 1) this.#pump()
      if (ticket.number < 0 && ticket.line !== undefined) this.#wait(ticket, ms)
    }
    return ticket
  }

  /** The message shall not be taken any more. If it has been, its sender hears what becomes of it, else `error`. */
  withdraw(ticket: Ticket, error: RdvError): void {
    if (ticket.line === this.#queue) {
      this.#settle(ticket, error)
    } else if (ticket.line !== undefined && ticket.withdrawnWith === undefined) {
      ticket.withdrawnWith = error
      this.#out?.begin(frameKind.withdraw, 8)
      this.#out?.u64(ticket.number)
    }
  }

  /** Resolves when everything that was sent is settled and the stream has ended. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#isClosed = true
      this.#closing = Promise.withResolvers<void>()
      this.#endWhenDone()
    }
    return this.#closing.promise
  }

  /** Ends now: what is not matched is withdrawn; nobody waits for what is. */
  abort(error: RdvError): void {
    this.#isClosed = true
    this.#closing ??= Promise.withResolvers<void>()
    this.#lane.stop()
    this.#lane.stream?.reset("cancelled")
    this.#failAll(error)
    this.#closing.resolve()
  }

  opened(stream: Stream): void {
    this.#out = new FrameWriter(this.#connection.outlet, stream)
    this.#frames = new FrameReader(this, frameExtraBytes)
    this.#next = 0
  }

  refused(error: RdvError): void {
    this.#failAll(error)
    this.#endWhenDone()
  }

  data(chunk: Uint8Array): void {
    try {
      this.#frames?.push(chunk)
    } catch (thrown) {
      if (!(thrown instanceof RdvError)) throw thrown
      this.#lane.stream?.reset(thrown.code, thrown.message)
    }
    this.#lane.stream?.consumed(chunk.length)
  }

  meta(block: JsonObject): void {
    this.#ready = readReady(block)
    this.#lane.settled()
    this.#pump()
    this.#endWhenDone()
  }

  end(): void {
    this.#lane.stream?.end()
  }

  drain(): void {
    if (this.#out !== undefined) this.#out.full = false
    this.#pump()
  }

  closed(error: RdvError | undefined): void {
    this.#ready = undefined
    this.#out?.stop()
    this.#out = undefined
    this.#frames?.stop()
    const why = error ?? new RdvError("closed", `The server has ended the stream to ${this.#path}`)
    if (isLost(why)) {
      const unknown = new RdvError("link_lost", `The session was lost before ${this.#path} confirmed the message`, {
        cause: why,
        mend: "it may have been delivered; send it again if twice does no harm",
      })
      while (this.#sent.first !== undefined) this.#settle(this.#sent.first, this.#sent.first.withdrawnWith ?? unknown)
      if (this.#queue.length > 0) this.#lane.wantAgain()
    } else this.#failAll(why)
    this.#endWhenDone()
  }

  frame(kind: number, bytes: Uint8Array, start: number, end: number): void {
    if (kind === frameKind.confirmed && end - start === 8) {
      const number = readU64(bytes, start)
      if (number > this.#next) throw new RdvError("protocol", "The server confirms what was never sent")
      let first = this.#sent.first
      while (first !== undefined && first.number < number) {
        this.#settle(first, undefined)
        first = this.#sent.first
      }
    } else if (kind === frameKind.settled && end - start >= 10) {
      const number = readU64(bytes, start)
      let ticket = this.#sent.first
      while (ticket !== undefined && ticket.number < number) ticket = ticket.next
      if (ticket?.number === number) this.#settle(ticket, verdictOf(ticket, bytes, start, end))
    } else throw new RdvError("protocol", `The server sent a frame of kind ${kind} to a sender`)
    this.#pump()
    this.#endWhenDone()
  }

  #wait(ticket: Ticket, ms: number): void {
    if (ms === 0 && this.#ready !== undefined) {
      this.#settle(ticket, new RdvError("would_block", `Messages to ${this.#path} wait already`))
    } else if (ms !== 0 && ms !== forever) {
      ticket.timer = this.#connection.clock.after(ms, () => {
        // Once it is sent, the server keeps the time.
        if (ticket.line !== this.#queue) return
        this.#settle(ticket, new RdvError("timeout", `The message to ${this.#path} could not be sent within ${ms} ms`))
      })
    }
  }

  #pump(): void {
    if (this.#isPumping || this.#queue.length === 0) return
    const [ready, out] = [this.#ready, this.#out]
    if (ready === undefined || out === undefined) {
      this.#lane.want()
      return
    }
    this.#isPumping = true
    for (let ticket = this.#queue.first; ticket !== undefined && !out.full; ticket = this.#queue.first) {
      const { length } = ticket.bytes
      if (length > ready.maxMessage) {
        const text = `${length} bytes: ${this.#path} takes messages of at most ${ready.maxMessage}`
        this.#settle(ticket, new RdvError("too_large", text))
        continue
      }
      if (this.#sent.length >= ready.messages) break
      if (this.#sentBytes + length > ready.bytes && this.#sent.length > 0) break
      this.#emit(ticket, out)
    }
    this.#isPumping = false
    this.#tellRoom()
  }

  #tellRoom(): void {
    if (this.#queue.length > 0) return
    for (const callback of this.#rooms.splice(0)) callback()
  }

  #emit(ticket: Ticket, out: FrameWriter): void {
    const { bytes, until } = ticket
    this.#queue.remove(ticket)
    ticket.timer?.cancel()
    ticket.number = this.#next++
    this.#sent.push(ticket)
    this.#sentBytes += bytes.length
    if (until === Infinity) {
      out.begin(frameKind.message, bytes.length)
    } else {
      const left = until === 0 ? 0 : Math.max(1, Math.ceil(until - this.#connection.clock.now()))
      out.begin(frameKind.timed, 4 + bytes.length)
      out.u32(Math.min(left, forever - 1))
    }
    out.bytes(bytes)
  }

  #settle(ticket: Ticket, error: RdvError | undefined): void {
    if (ticket.line === this.#sent) this.#sentBytes -= ticket.bytes.length
    ticket.line?.remove(ticket)
    ticket.timer?.cancel()
    ticket.settled(error)
    if (!this.#isPumping && this.#rooms.length > 0) this.#tellRoom()
  }

  #failAll(error: RdvError): void {
    while (this.#sent.first !== undefined) this.#settle(this.#sent.first, error)
    // Whoever hears of it may send again: that is another message.
    for (let left = this.#queue.length; left > 0; left--) this.#settle(this.#queue.first as Ticket, error)
  }

  #endWhenDone(): void {
    const closing = this.#closing
    if (closing === undefined || this.unsettled > 0) return
    this.#lane.stop()
    const { stream } = this.#lane
    if (stream === undefined) closing.resolve()
    else {
      this.#out?.flush()
      stream.end()
    }
  }
}

function verdictOf(ticket: Ticket, bytes: Uint8Array, start: number, end: number): RdvError | undefined {
  const code = readU16(bytes, start + 8)
  if (code === 0) return undefined
  const name = codeFromNumber(code)
  if (name === "cancelled" && ticket.withdrawnWith !== undefined) return ticket.withdrawnWith
  const reason = utf8Decode(bytes, start + 10, end)
  return new RdvError(name, reason === "" ? undefined : reason, { origin: "remote" })
}

/** Messages that wait for the window, of whoever does not wait for them. */
const maxQueued = 65_536
