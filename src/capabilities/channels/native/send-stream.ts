/**
 * The server's side of a stream that sends: messages one after another into a channel, confirmations back. Only the first
 * few without a receiver stand in the channel's line; the others wait here, so that a busy sender takes up no more of the
 * line than a quiet one does.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { codeNumber, RdvError } from "../../../base/error.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import type { Channel } from "../core/channel.ts"
import { Line } from "../core/line.ts"
import type { Member } from "../core/line.ts"
import type { Sending } from "../core/parties.ts"
import type { Writer } from "../core/writer.ts"
import type { Backlog } from "./backlog.ts"
import { FrameReader } from "./frame-reader.ts"
import type { FrameSink } from "./frame-reader.ts"
import { FrameWriter } from "./frame-writer.ts"
import type { Outlet } from "./frame-writer.ts"
import { readU32, readU64 } from "./numbers.ts"
import { ownMemoryBytes } from "./message-memory.ts"
import type { MessageMemory } from "./message-memory.ts"
import { forever, frameExtraBytes, frameKind } from "./protocol.ts"
import { Slab } from "./slab.ts"

/** What all streams of a service share. */
export interface ServiceParts {
  readonly outlet: Outlet
  readonly backlog: Backlog
  readonly memory: MessageMemory
}

/** What a stream may have unsettled. */
export interface SendWindow {
  readonly messages: number
  readonly bytes: number
}

class Entry implements Sending, Member<Entry> {
  previous: Entry | undefined
  next: Entry | undefined
  line: Line<Entry> | undefined
  readonly bytes: Uint8Array
  readonly number: number
  /** `waiting`: not in the channel yet. `offered`: no receiver and no room so far. */
  state: "waiting" | "offered" | "matched" = "waiting"
  timer: Timer | undefined
  /** Its sender wants it no more: it is told so unless its receiver proves it. */
  late: RdvError | undefined
  /** Its bytes are in the backlog. */
  isBacklog = false
  readonly #stream: SendStream

  constructor(stream: SendStream, number: number, bytes: Uint8Array) {
    this.#stream = stream
    this.number = number
    this.bytes = bytes
  }

  matched(): void {
    this.#stream.matched(this)
  }

  returned(): void {
    this.#stream.returned(this)
  }

  settled(error: RdvError | undefined): void {
    this.#stream.settle(this, error)
  }
}

export class SendStream implements StreamSink, FrameSink {
  readonly #stream: Stream
  readonly #channel: Channel
  readonly #writer: Writer
  readonly #clock: Clock
  readonly #window: SendWindow
  readonly #backlog: Backlog
  readonly #memory: MessageMemory
  /** Of a frame that came in part. */
  #partBytes = 0
  readonly #reader: FrameReader
  readonly #out: FrameWriter
  readonly #slab: Slab = new Slab()
  /** Not settled, in order. */
  readonly #entries: Line<Entry> = new Line()
  #bytes = 0
  /** The first one that the channel does not have yet. */
  #waiting: Entry | undefined
  #offered = 0
  #isOffering = false
  #next = 0
  /** What the client was told: everything before it is settled. */
  #told = 0
  /** Arrived before an older one; told by itself unless the older ones follow within the round. */
  #early: number[] = []
  #isEnding = false
  #isOver = false

  constructor(
    stream: Stream,
    channel: Channel,
    clock: Clock,
    window: SendWindow,
    { outlet, backlog, memory }: ServiceParts,
  ) {
    this.#stream = stream
    this.#channel = channel
    this.#writer = channel.writer()
    this.#clock = clock
    this.#window = window
    this.#backlog = backlog
    this.#memory = memory
    // A limit that is lowered later is for the channel to tell, message by message.
    const { maxMessage } = channel.settings
    this.#reader = new FrameReader(this, maxMessage + frameExtraBytes)
    this.#out = new FrameWriter(outlet, stream, { gather: () => this.#gather() })
    stream.meta({ ready: { path: channel.path, ...window, maxMessage } })
  }

  data(chunk: Uint8Array): void {
    try {
      this.#reader.push(chunk)
      this.#countPart()
    } catch (thrown) {
      if (!(thrown instanceof RdvError)) throw thrown
      this.#stream.reset(thrown.code, thrown.message)
    }
    this.#out.consumed(chunk.length)
  }

  meta(): void {}

  /** No message follows: the end is said when the last one is settled. */
  end(): void {
    this.#isEnding = true
    this.#out.touch()
  }

  drain(): void {
    this.#out.drained()
  }

  closed(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#reader.stop()
    this.#countPart()
    this.#out.stop()
    for (let entry = this.#entries.first; entry !== undefined; entry = entry.next) {
      entry.timer?.cancel()
      this.#leaveBacklog(entry)
    }
    this.#writer.leave()
  }

  frame(kind: number, bytes: Uint8Array, start: number, end: number): void {
    switch (kind) {
      case frameKind.message:
        this.#take(bytes, start, end, forever)
        return
      case frameKind.timed:
        if (end - start < 4) throw short()
        this.#take(bytes, start + 4, end, readU32(bytes, start))
        return
      case frameKind.withdraw:
        if (end - start !== 8) throw short()
        this.#withdraw(readU64(bytes, start))
        return
      default:
        throw new RdvError("protocol", `A frame of kind ${kind} on a stream that sends`)
    }
  }

  /** For its entries. */
  matched(entry: Entry): void {
    if (entry.state === "matched") return
    entry.state = "matched"
    this.#offered--
    this.#offer()
  }

  /** For its entries. */
  returned(entry: Entry): void {
    if (entry.state !== "matched") return
    entry.state = "offered"
    this.#offered++
    if (entry.late !== undefined) this.#expire(entry, entry.late)
  }

  /** For its entries. */
  settle(entry: Entry, error: RdvError | undefined): void {
    if (entry.line === undefined || this.#isOver) return
    if (entry.state === "offered") this.#offered--
    entry.timer?.cancel()
    if (entry === this.#waiting) this.#waiting = entry.next
    this.#leaveBacklog(entry)
    const isFirst = entry.previous === undefined
    this.#entries.remove(entry)
    this.#bytes -= entry.bytes.length
    if (error !== undefined) {
      this.#out.verdict(frameKind.settled, entry.number, codeNumber(error.code), error.message)
    } else {
      this.#memory.settled(entry.bytes)
      if (!isFirst) this.#early.push(entry.number)
      this.#out.touch()
    }
    this.#offer()
  }

  #take(bytes: Uint8Array, start: number, end: number, ms: number): void {
    if (this.#isEnding) throw new RdvError("protocol", "A message behind the end")
    this.#bytes += end - start
    const { messages, bytes: most } = this.#window
    if (this.#entries.length >= messages || (this.#bytes > most && this.#entries.length > 0)) {
      throw new RdvError("protocol", "More messages than the window takes")
    }
    const from = end - start < ownMemoryBytes ? this.#slab : this.#memory
    const entry = new Entry(this, this.#next++, from.copy(bytes, start, end))
    this.#entries.push(entry)
    this.#waiting ??= entry
    this.#offer()
    if (entry.state === "waiting" && entry.line !== undefined) this.#enterBacklog(entry)
    if (ms === forever || entry.line === undefined) return
    if (ms === 0) this.#expire(entry, new RdvError("would_block", `Nobody receives from ${this.#channel.path} now`))
    else entry.timer = this.#clock.after(ms, () => this.#expire(entry, this.#late()))
  }

  #late(): RdvError {
    this.#channel.countExpired()
    return new RdvError("timeout", `Nobody received from ${this.#channel.path} in time`)
  }

  /** Hands messages to the channel, in order. */
  #offer(): void {
    if (this.#isOffering || this.#isOver) return
    this.#isOffering = true
    while (this.#waiting !== undefined && this.#offered < offeredAtOnce) {
      const entry: Entry = this.#waiting
      this.#waiting = entry.next
      entry.state = "offered"
      this.#leaveBacklog(entry)
      this.#offered++
      this.#writer.send(entry)
    }
    this.#isOffering = false
  }

  #enterBacklog(entry: Entry): void {
    try {
      this.#backlog.take(entry.bytes.length)
      entry.isBacklog = true
    } catch (error) {
      this.settle(entry, error as RdvError)
    }
  }

  #leaveBacklog(entry: Entry): void {
    if (!entry.isBacklog) return
    entry.isBacklog = false
    this.#backlog.give(entry.bytes.length)
  }

  #countPart(): void {
    const { heldBytes } = this.#reader
    if (heldBytes === this.#partBytes) return
    this.#backlog.give(this.#partBytes)
    this.#partBytes = 0
    this.#backlog.take(heldBytes)
    this.#partBytes = heldBytes
  }

  #withdraw(number: number): void {
    let entry = this.#entries.first
    while (entry !== undefined && entry.number < number) entry = entry.next
    if (entry?.number === number) this.#expire(entry, new RdvError("cancelled", "The message was withdrawn"))
  }

  /** Ends an entry that nobody has. One that a receiver has goes on to its proof, and ends if it comes back. */
  #expire(entry: Entry, error: RdvError): void {
    if (entry.line === undefined) return
    entry.late = error
    if (entry.state === "matched") return
    if (entry.state === "offered" && !this.#writer.withdraw(entry)) return
    this.settle(entry, error)
  }

  /** Before a write: what has arrived since the last one. */
  #gather(): void {
    const settled = this.#entries.first?.number ?? this.#next
    if (settled > this.#told) {
      this.#told = settled
      this.#out.begin(frameKind.confirmed, 8)
      this.#out.u64(settled)
    }
    if (this.#early.length > 0) {
      for (const number of this.#early) if (number >= settled) this.#out.verdict(frameKind.settled, number, 0, "")
      this.#early = []
    }
    if (this.#isEnding && this.#entries.length === 0) {
      // Behind the write that follows.
      queueMicrotask(() => this.#stream.end())
    }
  }
}

function short(): RdvError {
  return new RdvError("protocol", "A channel frame of the wrong length")
}

/** Messages of one stream that wait in the channel's line. */
const offeredAtOnce = 16
