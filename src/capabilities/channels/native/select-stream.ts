/**
 * The server's side of a stream that selects: cases, then `go`, then one answer; again and again. An abandoned select takes
 * nothing, and what it chose for a client that is gone goes back.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, codeFromNumber, codeNumber, RdvError } from "../../../base/error.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { utf8Decode, utf8Encode } from "../../../base/text.ts"
import type { SelectCase, Selection, SelectOutcome } from "../core/select.ts"
import type { Backlog } from "./backlog.ts"
import { FrameReader } from "./frame-reader.ts"
import type { FrameSink } from "./frame-reader.ts"
import { FrameWriter } from "./frame-writer.ts"
import { readU16, readU32, readU64 } from "./numbers.ts"
import { forever, frameKind, maxCases, noCase } from "./protocol.ts"
import type { ServiceParts } from "./send-stream.ts"
import type { View } from "./view.ts"

type Received = Extract<SelectOutcome, { kind: "received" }>

export class SelectStream implements StreamSink, FrameSink {
  readonly #stream: Stream
  readonly #view: View
  readonly #clock: Clock
  readonly #frames: FrameReader = new FrameReader(this, maxBytes)
  readonly #out: FrameWriter
  readonly #backlog: Backlog
  /** Of the backlog: a frame that came in part, and the messages of cases before `go`. */
  #backlogBytes = 0
  #cases: SelectCase[] = []
  #bytes = 0
  /** Why the cases cannot be tried. */
  #refusal: { readonly index: number; readonly error: RdvError } | undefined
  #selection: Selection | undefined
  /** Between `go` and its answer. */
  #isGoing = false
  #timer: Timer | undefined
  /** Chosen and not answered yet, by number. */
  readonly #open: Map<number, Received> = new Map()
  #next = 0
  #isOver = false

  constructor(stream: Stream, view: View, clock: Clock, { outlet, backlog }: ServiceParts) {
    this.#stream = stream
    this.#view = view
    this.#clock = clock
    this.#backlog = backlog
    this.#out = new FrameWriter(outlet, stream)
  }

  data(chunk: Uint8Array): void {
    try {
      this.#frames.push(chunk)
      this.#count()
    } catch (thrown) {
      if (!(thrown instanceof RdvError)) throw thrown
      this.#stream.reset(thrown.code, thrown.message)
    }
    this.#out.consumed(chunk.length)
  }

  meta(): void {}

  /** The client leaves in good order: what was chosen and not taken goes back. */
  end(): void {
    if (this.#isOver) return
    for (const { delivery } of this.#open.values()) delivery.putBack("was not taken")
    this.#open.clear()
    this.#leave()
    this.#out.flush()
    this.#stream.end()
  }

  drain(): void {
    this.#out.drained()
  }

  closed(): void {
    this.#leave()
    this.#out.stop()
  }

  frame(kind: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    switch (kind) {
      case frameKind.case:
        this.#addCase(bytes, start, end)
        return
      case frameKind.go:
        if (length !== 4) throw short()
        this.#go(readU32(bytes, start))
        return
      case frameKind.cancel:
        // Too late when something was chosen: that answer is under way.
        if (this.#isGoing) this.#giveUp(new RdvError("cancelled", "The select was cancelled"))
        return
      case frameKind.answer: {
        if (length < 10) throw short()
        const number = readU64(bytes, start)
        const code = readU16(bytes, start + 8)
        const chosen = this.#open.get(number)
        this.#open.delete(number)
        if (code === 0) chosen?.delivery.done()
        else chosen?.delivery.giveBack(utf8Decode(bytes, start + 10, end) || `was refused (${codeFromNumber(code)})`)
        return
      }
      default:
        throw new RdvError("protocol", `A frame of kind ${kind} on a stream that selects`)
    }
  }

  #count(): void {
    const bytes = this.#frames.heldBytes + this.#bytes
    if (bytes === this.#backlogBytes) return
    this.#backlog.give(this.#backlogBytes)
    this.#backlogBytes = 0
    this.#backlog.take(bytes)
    this.#backlogBytes = bytes
  }

  #addCase(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isGoing) throw new RdvError("protocol", "A case of a select that is under way")
    const pathAt = start + 3
    const messageAt = end - start < 3 ? end + 1 : pathAt + readU16(bytes, start + 1)
    if (messageAt > end) throw short()
    const index = this.#cases.length
    if (index >= maxCases) throw new RdvError("limit", `A select has at most ${maxCases} cases`)
    this.#bytes += end - messageAt
    if (this.#bytes > maxBytes) throw new RdvError("limit", `The messages of a select are over ${maxBytes} bytes`)
    const path = utf8Decode(bytes, pathAt, messageAt)
    const isSend = bytes[start] === 1
    try {
      const channel = this.#view.open(path, isSend ? "send" : "receive", undefined)
      if (isSend) this.#cases.push({ kind: "send", channel, bytes: bytes.slice(messageAt, end) })
      else this.#cases.push({ kind: "receive", channel })
    } catch (thrown) {
      this.#refusal ??= { index, error: asRdvError(thrown) }
    }
  }

  #go(ms: number): void {
    if (this.#isGoing) throw new RdvError("protocol", "A select that is under way already")
    const cases = this.#cases
    const refusal = this.#refusal
    this.#cases = []
    this.#bytes = 0
    this.#refusal = undefined
    if (refusal !== undefined) {
      this.#none(refusal.index, refusal.error)
      return
    }
    if (this.#open.size >= maxOpen) {
      throw new RdvError("limit", `${maxOpen} messages of selects are without an answer`)
    }
    this.#isGoing = true
    try {
      const selection = this.#view.space.select(cases, (outcome) => this.#hear(outcome))
      if (this.#isGoing) this.#selection = selection
    } catch (thrown) {
      this.#isGoing = false
      this.#none(noCase, asRdvError(thrown))
      return
    }
    if (!this.#isGoing || ms === forever) return
    if (ms === 0) this.#giveUp(new RdvError("would_block", "No case can happen now"))
    else {
      this.#timer = this.#clock.after(ms, () => {
        this.#giveUp(new RdvError("timeout", `No case could happen within ${ms} ms`))
      })
    }
  }

  /** Unless something was chosen: then its answer comes. */
  #giveUp(error: RdvError): void {
    if (this.#selection?.cancel() !== true) return
    this.#finish()
    this.#none(noCase, error)
  }

  #hear(outcome: SelectOutcome): void {
    if (this.#isOver) {
      if (outcome.kind === "received") outcome.delivery.putBack("came too late")
      return
    }
    this.#finish()
    switch (outcome.kind) {
      case "received": {
        this.#open.set(this.#next++, outcome)
        const { bytes, id, attempt } = outcome.delivery
        this.#out.begin(frameKind.chosen, 13 + bytes.length)
        this.#out.u16(outcome.index)
        this.#out.u8(0)
        this.#out.u64(id)
        this.#out.u16(Math.min(attempt, 0xffff))
        this.#out.bytes(bytes)
        return
      }
      case "sent":
        this.#out.begin(frameKind.chosen, 3)
        this.#out.u16(outcome.index)
        this.#out.u8(1)
        return
      case "failed":
        this.#none(outcome.index, outcome.error)
    }
  }

  #finish(): void {
    this.#isGoing = false
    this.#selection = undefined
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #none(index: number, error: RdvError): void {
    const text = utf8Encode(error.message.slice(0, 300))
    this.#out.begin(frameKind.none, 4 + text.length)
    this.#out.u16(index)
    this.#out.u16(codeNumber(error.code))
    this.#out.bytes(text)
  }

  #leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#selection?.cancel()
    this.#finish()
    for (const chosen of this.#open.values()) chosen.leave("has left")
    this.#open.clear()
    this.#frames.stop()
    this.#bytes = 0
    this.#count()
  }
}

function short(): RdvError {
  return new RdvError("protocol", "A channel frame of the wrong length")
}

/** Of one case, and of all cases of a select together. */
const maxBytes = 16 * 2 ** 20
/** Chosen messages without an answer. */
const maxOpen = 1024
