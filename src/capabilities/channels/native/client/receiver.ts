/**
 * The client's side of a stream that receives. It asks for as many messages as the application waits for, or for a window
 * of them ahead; what the application did not take goes back when it stops waiting. When the session is lost, everything
 * without an answer is the channel's again, and the receiver goes on with the next session.
 */

import type { Timer } from "../../../../base/clock.ts"
import { codeNumber, RdvError } from "../../../../base/error.ts"
import { Fifo } from "../../../../base/fifo.ts"
import type { JsonObject } from "../../../../base/json.ts"
import type { Stream } from "../../../../base/stream.ts"
import { Line } from "../../core/line.ts"
import type { Member } from "../../core/line.ts"
import { FrameReader } from "../frame-reader.ts"
import type { FrameSink } from "../frame-reader.ts"
import { FrameWriter } from "../frame-writer.ts"
import type { FrameSource } from "../frame-writer.ts"
import { readU16, readU64 } from "../numbers.ts"
import { frameExtraBytes, frameKind, maxOpenDeliveries, readReady } from "../protocol.ts"
import { Slab } from "../slab.ts"
import { isLost, Lane } from "./connection.ts"
import type { Connection, LaneOwner } from "./connection.ts"
import { Message } from "./message.ts"
import type { Answers } from "./message.ts"

/** Someone who waits for one message. */
export class Wish implements Member<Wish> {
  previous: Wish | undefined
  next: Wish | undefined
  line: Line<Wish> | undefined
  /** Hears once: a message, `undefined` when none comes any more, or why it hears nothing else. */
  readonly hear: (message: Message | undefined, error: RdvError | undefined) => void
  timer: Timer | undefined
  /** It wants what is there now, and nothing later. */
  readonly isTry: boolean
  /** The question of a try is on its way. */
  isAsked = false

  constructor(hear: Wish["hear"], isTry: boolean) {
    this.hear = hear
    this.isTry = isTry
  }
}

export class Receiver implements LaneOwner, FrameSink, Answers, FrameSource {
  readonly #connection: Connection
  readonly #path: string
  readonly #lane: Lane
  readonly #slab: Slab = new Slab()
  #out: FrameWriter | undefined
  #frames: FrameReader | undefined
  /** Arrived and not handed over. */
  readonly #inbox: Fifo<Message> = new Fifo()
  /** Arrived on this stream and not answered, in order. */
  readonly #open: Line<Message> = new Line()
  readonly #wishes: Line<Wish> = new Line()
  #tries = 0
  /** Messages to have at hand without being asked for each; 0: none. */
  #window = 0
  #handler: ((message: Message) => void) | undefined
  #isReady = false
  /** Messages that arrived on this stream. */
  #next = 0
  /** Asked for on this stream, and not there. */
  #asked = 0
  /** What the server was told: everything before it is taken. */
  #toldTaken = 0
  #isRecalling = false
  /** The channel is closed, or the receiver: nothing comes any more. */
  #over: { readonly error: RdvError | undefined } | undefined
  #closing: PromiseWithResolvers<void> | undefined
  /** Hears of the end once, when there is a handler. */
  #onEnd: ((error: RdvError | undefined) => void) | undefined

  constructor(connection: Connection, path: string, header: JsonObject) {
    this.#connection = connection
    this.#path = path
    this.#lane = new Lane(connection, header, this)
  }

  /** It was refused, or reset: another one may be had. */
  get hasFailed(): boolean {
    return this.#over?.error !== undefined
  }

  /** Messages that the application has and did not answer, and those that wait for it here. */
  get unanswered(): number {
    return this.#open.length
  }

  /** Waits for one message. `ms`: no longer; 0: not at all. */
  receive(hear: Wish["hear"], ms: number | undefined): Wish {
    const wish = new Wish(hear, ms === 0)
    const held = this.#inbox.shift()
    if (held !== undefined) {
      hear(held, undefined)
      this.#ask()
      return wish
    }
    if (this.#over !== undefined) {
      hear(undefined, this.#over.error)
      return wish
    }
    this.#wishes.push(wish)
    if (wish.isTry) this.#tries++
    if (ms !== undefined && ms > 0) {
      const late = new RdvError("timeout", `Nothing came from ${this.#path} within ${ms} ms`)
      wish.timer = this.#connection.clock.after(ms, () => this.forget(wish, late))
    }
    this.#ask()
    return wish
  }

  /** Nobody waits any more; a message that is on its way for it goes back. */
  forget(wish: Wish, error: RdvError): void {
    if (wish.line === undefined) return
    this.#drop(wish)
    wish.hear(undefined, error)
    this.#recall()
  }

  /** What is here already, without waiting, up to `most`. */
  takeHeld(most: number): Message[] {
    const messages: Message[] = []
    for (
      let message = this.#inbox.peek();
      message !== undefined && messages.length < most;
      message = this.#inbox.peek()
    ) {
      this.#inbox.shift()
      messages.push(message)
    }
    return messages
  }

  /** Keeps so many messages at hand or unanswered from now on; 0 gives back what is at hand. */
  hold(window: number): void {
    this.#window = Math.min(window, maxOpenDeliveries / 2)
    if (window > 0) this.#ask()
    else this.#recall()
  }

  /** Hands every message over as it arrives. It is answered by the handler, now or later. */
  deliver(window: number, handler: (message: Message) => void, onEnd: (error: RdvError | undefined) => void): void {
    if (this.#over !== undefined) {
      onEnd(this.#over.error)
      return
    }
    this.#handler = handler
    this.#onEnd = onEnd
    for (let held = this.#inbox.shift(); held !== undefined; held = this.#inbox.shift()) handler(held)
    this.hold(window)
  }

  /** `Answers`. */
  answer(message: Message, reason: string | undefined): void {
    // Without a line it was answered already, or its session is lost and it is somebody else's.
    if (message.line === undefined) return
    const out = this.#out
    if (reason !== undefined) out?.verdict(frameKind.answer, message.number, codeNumber("cancelled"), reason)
    else if (message.previous !== undefined) out?.verdict(frameKind.answer, message.number, 0, "")
    // What is taken in order is told with the next request.
    else out?.touch()
    message.line.remove(message)
    if (this.#window > 0) this.#ask()
  }

  /** Gives back what has no answer, and ends. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = Promise.withResolvers<void>()
      this.#finish(undefined)
      const { stream } = this.#lane
      this.#lane.stop()
      if (stream === undefined) this.#closing.resolve()
      else {
        this.#out?.flush()
        stream.end()
      }
    }
    return this.#closing.promise
  }

  /** Ends now: the server takes back what has no answer when it hears of it. */
  abort(): void {
    this.#closing ??= Promise.withResolvers<void>()
    this.#finish(undefined)
    this.#lane.stop()
    this.#lane.stream?.reset("cancelled")
    this.#closing.resolve()
  }

  opened(stream: Stream): void {
    this.#out = new FrameWriter(this.#connection.outlet, stream, this)
    this.#next = 0
    this.#asked = 0
    this.#toldTaken = 0
    this.#isRecalling = false
  }

  refused(error: RdvError): void {
    this.#finish(error)
    this.#closing?.resolve()
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
    const { maxMessage } = readReady(block)
    // The limit of a channel may be raised while it is open.
    this.#frames = new FrameReader(this, Math.max(maxMessage, 2 ** 30) + frameExtraBytes)
    this.#isReady = true
    this.#lane.settled()
    this.#ask()
  }

  /** Nothing is left in a channel that was closed. */
  end(): void {
    this.#finish(undefined)
    this.#lane.stop()
    this.#out?.flush()
    this.#lane.stream?.end()
  }

  drain(): void {
    if (this.#out !== undefined) this.#out.full = false
  }

  closed(error: RdvError | undefined): void {
    this.#isReady = false
    this.#out?.stop()
    this.#out = undefined
    this.#frames?.stop()
    this.#forgetOpen()
    this.#closing?.resolve()
    if (this.#over !== undefined) return
    const why = error ?? new RdvError("closed", "The server has ended the stream")
    if (!isLost(why)) {
      this.#finish(why)
      return
    }
    for (let wish = this.#wishes.first; wish !== undefined; wish = wish.next) wish.isAsked = false
    if (this.#wishes.length > 0 || this.#window > 0) this.#lane.wantAgain()
  }

  frame(kind: number, bytes: Uint8Array, start: number, end: number): void {
    if (kind === frameKind.delivery && end - start >= 10) {
      if (this.#asked === 0) throw new RdvError("protocol", "A message that nobody asked for")
      this.#asked--
      const copy = this.#slab.copy(bytes, start + 10, end)
      const message = new Message(this, this.#next++, readU64(bytes, start), readU16(bytes, start + 8), copy)
      this.#open.push(message)
      this.#arrived(message)
    } else if (kind === frameKind.recalled && end === start) {
      this.#isRecalling = false
      this.#asked = 0
      for (let wish = this.#wishes.first; wish !== undefined;) {
        const { next } = wish
        if (wish.isTry && wish.isAsked) {
          this.#drop(wish)
          wish.hear(undefined, new RdvError("would_block", `Nothing is in ${this.#path} now`))
        }
        wish = next
      }
      this.#ask()
    } else throw new RdvError("protocol", `The server sent a frame of kind ${kind} to a receiver`)
  }

  /** Before a write: how far everything is taken, and what is wanted more. */
  gather(): void {
    const out = this.#out
    if (out === undefined || !this.#isReady) return
    const taken = this.#open.first?.number ?? this.#next
    const more = this.#wanted()
    if (taken > this.#toldTaken || more > 0) {
      this.#toldTaken = taken
      this.#asked += more
      out.begin(frameKind.next, 12)
      out.u32(more)
      out.u64(taken)
    }
    if (this.#tries === 0 || this.#isRecalling) return
    // A try asks, and takes the question back: what is there comes in between.
    this.#isRecalling = true
    out.begin(frameKind.recall, 0)
    for (let wish = this.#wishes.first; wish !== undefined; wish = wish.next) wish.isAsked = true
  }

  #arrived(message: Message): void {
    if (this.#handler !== undefined) {
      this.#handler(message)
      return
    }
    const wish = this.#wishes.first
    if (wish !== undefined) {
      this.#drop(wish)
      wish.hear(message, undefined)
    } else if (this.#window > 0) this.#inbox.push(message)
    else this.#putBack(message)
  }

  /** Nobody here has looked at it. */
  #putBack(message: Message): void {
    this.#out?.verdict(frameKind.answer, message.number, codeNumber("would_block"), "")
    message.line?.remove(message)
  }

  /** How many messages to ask for beyond those that come. */
  #wanted(): number {
    if (this.#isRecalling || this.#over !== undefined) return 0
    const ahead = this.#window - this.#open.length
    return Math.max(0, Math.max(ahead, this.#wishes.length) - this.#asked)
  }

  #ask(): void {
    if (this.#over !== undefined) return
    if (!this.#isReady) {
      if (this.#wishes.length > 0 || this.#window > 0) this.#lane.want()
    } else if (this.#wanted() > 0 || this.#tries > 0) this.#out?.touch()
  }

  /** Less is wanted: what is asked for in excess is taken back, what is at hand as well. */
  #recall(): void {
    if (this.#window === 0) {
      for (let held = this.#inbox.shift(); held !== undefined; held = this.#inbox.shift()) {
        this.#putBack(held)
      }
    }
    const wanted = Math.max(this.#wishes.length, this.#window - this.#open.length)
    if (this.#isReady && !this.#isRecalling && this.#asked > wanted) {
      this.#isRecalling = true
      this.#out?.begin(frameKind.recall, 0)
    }
  }

  #drop(wish: Wish): void {
    if (wish.line !== undefined && wish.isTry) this.#tries--
    wish.line?.remove(wish)
    wish.timer?.cancel()
  }

  /** What is open is the server's again: the application's answers go nowhere. */
  #forgetOpen(): void {
    while (this.#open.shift() !== undefined);
    this.#inbox.clear()
  }

  #finish(error: RdvError | undefined): void {
    if (this.#over !== undefined) return
    this.#over = { error }
    for (let wish = this.#wishes.first; wish !== undefined; wish = this.#wishes.first) {
      this.#drop(wish)
      wish.hear(undefined, error)
    }
    this.#handler = undefined
    this.#onEnd?.(error)
  }
}
