/**
 * The server's side of a stream that receives: as many messages as the client asked for, each of them the channel's until
 * the client says that it is taken. What a client has and did not take goes back when it leaves.
 */

import { codeFromNumber, codeNumber, RdvError } from "../../../base/error.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { utf8Decode } from "../../../base/text.ts"
import type { Channel } from "../core/channel.ts"
import { Line } from "../core/line.ts"
import type { Member } from "../core/line.ts"
import type { Delivery, Receiving } from "../core/parties.ts"
import type { Reader } from "../core/reader.ts"
import { FrameReader } from "./frame-reader.ts"
import type { FrameSink } from "./frame-reader.ts"
import { FrameWriter } from "./frame-writer.ts"
import type { MessageMemory } from "./message-memory.ts"
import { readU16, readU32, readU64 } from "./numbers.ts"
import { frameExtraBytes, frameKind, maxOpenDeliveries } from "./protocol.ts"
import type { ServiceParts } from "./send-stream.ts"

class Open implements Member<Open> {
  previous: Open | undefined
  next: Open | undefined
  line: Line<Open> | undefined
  readonly number: number
  readonly delivery: Delivery

  constructor(number: number, delivery: Delivery) {
    this.number = number
    this.delivery = delivery
  }
}

export class ReceiveStream implements StreamSink, FrameSink, Receiving {
  readonly #stream: Stream
  readonly #reader: Reader
  readonly #frames: FrameReader = new FrameReader(this, frameExtraBytes)
  readonly #out: FrameWriter
  readonly #channel: Channel
  readonly #memory: MessageMemory
  /** Sent and not answered, in order. */
  readonly #open: Line<Open> = new Line()
  #next = 0
  /** Asked for and not sent. */
  #wanted = 0
  /** The channel has this stream in its line. */
  #isWaiting = false
  #isAsking = false
  #isOver = false

  constructor(stream: Stream, channel: Channel, { outlet, memory }: ServiceParts) {
    this.#stream = stream
    this.#channel = channel
    this.#memory = memory
    this.#reader = channel.reader()
    this.#out = new FrameWriter(outlet, stream)
    const { maxMessage } = channel.settings
    stream.meta({ ready: { path: channel.path, messages: maxOpenDeliveries, bytes: 0, maxMessage } })
  }

  data(chunk: Uint8Array): void {
    try {
      this.#frames.push(chunk)
    } catch (thrown) {
      if (!(thrown instanceof RdvError)) throw thrown
      this.#stream.reset(thrown.code, thrown.message)
    }
    this.#out.consumed(chunk.length)
  }

  meta(): void {}

  /** The client leaves in good order: what it did not take goes back. */
  end(): void {
    this.#leave("was not taken")
    this.#out.flush()
    this.#stream.end()
  }

  drain(): void {
    this.#out.drained()
    this.#ask()
  }

  closed(): void {
    this.#leave(undefined)
    this.#frames.stop()
    this.#out.stop()
  }

  frame(kind: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    switch (kind) {
      case frameKind.next: {
        if (length !== 12) throw short()
        const taken = readU64(bytes, start + 4)
        if (taken > this.#next) throw new RdvError("protocol", "An answer to what was never sent")
        for (let first = this.#open.first; first !== undefined && first.number < taken; first = this.#open.first) {
          this.#open.shift()
          this.#prove(first.delivery)
        }
        this.#wanted += readU32(bytes, start)
        if (this.#wanted + this.#open.length > maxOpenDeliveries) {
          throw new RdvError("protocol", `More than ${maxOpenDeliveries} deliveries without an answer`)
        }
        this.#ask()
        return
      }
      case frameKind.answer: {
        if (length < 10) throw short()
        const code = readU16(bytes, start + 8)
        this.#answer(readU64(bytes, start), code, utf8Decode(bytes, start + 10, end))
        return
      }
      case frameKind.recall:
        if (length !== 0) throw short()
        this.#wanted = 0
        if (this.#isWaiting) this.#isWaiting = !this.#reader.withdraw(this)
        this.#out.begin(frameKind.recalled, 0)
        return
      default:
        throw new RdvError("protocol", `A frame of kind ${kind} on a stream that receives`)
    }
  }

  /** `Receiving`: the channel has a message for us. */
  take(delivery: Delivery): void {
    this.#isWaiting = false
    if (this.#isOver || this.#wanted === 0) {
      delivery.putBack("came too late")
      return
    }
    this.#wanted--
    this.#open.push(new Open(this.#next++, delivery))
    const { bytes } = delivery
    this.#out.begin(frameKind.delivery, 10 + bytes.length)
    this.#out.u64(delivery.id)
    this.#out.u16(Math.min(delivery.attempt, 0xffff))
    this.#out.bytes(bytes)
    this.#ask()
  }

  /** `Receiving`: nothing comes any more. */
  failed(error: RdvError): void {
    this.#isWaiting = false
    if (this.#isOver) return
    this.#wanted = 0
    this.#out.flush()
    // The client may still answer what it has.
    if (error.code === "closed") this.#stream.end()
    else this.#stream.reset(error.code, error.message)
  }

  /** One message at a time stands for this stream in the channel's line, so that receivers take turns. */
  #ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    while (this.#wanted > 0 && !this.#isWaiting && !this.#out.full && !this.#isOver) {
      this.#isWaiting = true
      this.#reader.receive(this)
    }
    this.#isAsking = false
  }

  #prove(delivery: Delivery): void {
    const isSole = delivery.attempt === 1 && this.#channel.settings.mode === "unicast"
    if (isSole) this.#memory.proving = delivery.bytes
    delivery.done()
    this.#memory.proving = undefined
  }

  #answer(number: number, code: number, reason: string): void {
    let open = this.#open.first
    while (open !== undefined && open.number < number) open = open.next
    if (open?.number !== number) return
    this.#open.remove(open)
    if (code === 0) this.#prove(open.delivery)
    else if (code === codeNumber("would_block")) open.delivery.putBack("was not taken")
    else open.delivery.giveBack(reason === "" ? `was refused (${codeFromNumber(code)})` : reason)
  }

  /** Without a reason the client has vanished. */
  #leave(reason: string | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#isWaiting) this.#reader.withdraw(this)
    // Out of the line first: what is given back must not come to us again.
    if (reason !== undefined) {
      for (let open = this.#open.shift(); open !== undefined; open = this.#open.shift()) open.delivery.putBack(reason)
    }
    this.#reader.leave()
  }
}

function short(): RdvError {
  return new RdvError("protocol", "A channel frame of the wrong length")
}
