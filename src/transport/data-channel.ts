/**
 * A link over a WebRTC data channel, ordered and reliable. Channels have an edge on each side: a message above what the
 * peer takes is refused, and a queue above 16 MiB breaks the channel. So messages are small, little is given to the channel
 * at a time, and the rest waits here. It cannot stop its peer from sending: what arrives in a pause is held up to a limit,
 * and flow control above keeps below it.
 */

import type { Clock, Timer } from "../base/clock.ts"
import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import { Fifo } from "../base/fifo.ts"
import type { Link, LinkSink } from "../mux/link.ts"

/** As much of `RTCDataChannel` as a link needs: a page's, a worker's, or Node's through an adapter. */
export interface DataChannel {
  binaryType: string
  readonly readyState: string
  /** Bytes that `send` took and the network did not yet. */
  readonly bufferedAmount: number
  bufferedAmountLowThreshold: number
  /** Copies the bytes. Throws when the channel is not open, or cannot take them. */
  send(bytes: Uint8Array<ArrayBuffer>): void
  /** What was sent before still goes out. */
  close(): void
  addEventListener(type: "open" | "bufferedamountlow" | "closing" | "close", listener: () => void): void
  addEventListener(type: "error", listener: (event: object) => void): void
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void
}

export interface DataChannelLinkOptions {
  readonly peer: string
  /** The largest message that the other side takes; more than 64 KiB are never sent at once. */
  readonly messageBytes?: number
  readonly clock?: Clock
  /** Called once, when nothing more will be asked of the channel: the connection under it may go. */
  readonly onOver?: () => void
}

/** Takes over a channel, perhaps before it is open: what arrives is kept from now on. Nothing is sent before it is open. */
export function dataChannelLink(channel: DataChannel, options: DataChannelLinkOptions): Link {
  return new DataChannelLink(channel, options)
}

class DataChannelLink implements Link {
  readonly kind = "webrtc"
  readonly peer: string
  /** DTLS. */
  readonly protected = true
  readonly #channel: DataChannel
  readonly #options: DataChannelLinkOptions
  readonly #clock: Clock
  /** One message at a time is put together here: the channel copies it. */
  readonly #message: Uint8Array<ArrayBuffer>
  readonly #queue = new Fifo<Uint8Array>()
  /** Of the first part in the queue: how much of it has gone. */
  #sentOfFirst = 0
  #queued = 0
  #sink: LinkSink | undefined
  #held: Uint8Array[] = []
  #heldBytes = 0
  #full = false
  #paused = false
  #closing = false
  /** The result is known; `closed` has been or is about to be called. */
  #over = false
  #told = false
  #reason: RdvError | undefined
  #timer: Timer | undefined

  constructor(channel: DataChannel, options: DataChannelLinkOptions) {
    this.peer = options.peer
    this.#channel = channel
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#message = new Uint8Array(Math.max(1, Math.min(options.messageBytes ?? mostMessageBytes, mostMessageBytes)))
    channel.binaryType = "arraybuffer"
    channel.bufferedAmountLowThreshold = lowWaterBytes
    channel.addEventListener("message", ({ data }) => {
      if (data instanceof ArrayBuffer) this.#receive(new Uint8Array(data))
      else if (data instanceof Uint8Array) this.#receive(data)
      else this.abort(new RdvError("protocol", `${this.peer} sent text where bytes belong`, { origin: "remote" }))
    })
    channel.addEventListener("bufferedamountlow", () => this.#pump())
    // A close follows.
    channel.addEventListener("error", () => undefined)
    channel.addEventListener("close", () => this.#onClose())
    if (channel.readyState === "closed") this.#onClose()
  }

  get queuedBytes(): number {
    return this.#over ? 0 : this.#queued + this.#channel.bufferedAmount
  }

  attach(sink: LinkSink): void {
    this.#sink = sink
    queueMicrotask(() => (this.#over ? this.#tell() : this.#wake()))
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#over || this.#closing) return false
    for (const part of parts) {
      if (part.length === 0) continue
      this.#queue.push(part)
      this.#queued += part.length
    }
    this.#give()
    if (this.#over) return false
    this.#full = this.#queued > 0 || this.#channel.bufferedAmount >= highWaterBytes
    return !this.#full
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#sink !== undefined) queueMicrotask(() => this.#wake())
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#timer = this.#clock.after(closeMs, () => {
      this.#channel.close()
      this.#end(new RdvError("timeout", `${this.peer} did not close the link within ${closeMs} ms`))
    })
    this.#pump()
  }

  abort(error: RdvError): void {
    if (this.#over) return
    this.#channel.close()
    this.#end(error)
  }

  /** From the queue to the channel, as long as that has room. */
  #give(): void {
    const message = this.#message
    try {
      while (this.#queued > 0 && this.#channel.bufferedAmount < highWaterBytes) {
        let length = 0
        while (length < message.length && this.#queued > 0) {
          const part = this.#queue.peek() as Uint8Array
          const size = Math.min(message.length - length, part.length - this.#sentOfFirst)
          message.set(part.subarray(this.#sentOfFirst, this.#sentOfFirst + size), length)
          length += size
          this.#queued -= size
          this.#sentOfFirst += size
          if (this.#sentOfFirst < part.length) continue
          this.#queue.shift()
          this.#sentOfFirst = 0
        }
        this.#channel.send(message.subarray(0, length))
      }
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown)
      this.abort(new RdvError("link_lost", `The channel to ${this.peer} takes nothing more: ${why}`, { cause: thrown }))
    }
  }

  #pump(): void {
    if (this.#over) return
    this.#give()
    if (this.#over || this.#queued > 0) return
    if (this.#closing) {
      this.#channel.close()
      return
    }
    if (!this.#full || this.#channel.bufferedAmount > lowWaterBytes) return
    this.#full = false
    this.#sink?.drain()
  }

  #receive(bytes: Uint8Array): void {
    if (this.#over || bytes.length === 0) return
    if (this.#sink !== undefined && !this.#paused && this.#held.length === 0) {
      this.#sink.data(bytes)
      return
    }
    if (this.#closing && this.#paused) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes > heldLimitBytes) {
      this.abort(new RdvError("limit", `${this.peer} sent more than ${heldLimitBytes} bytes into a pause`))
    }
  }

  #wake(): void {
    while (!this.#paused && !this.#over) {
      const bytes = this.#held.shift()
      if (bytes === undefined) return
      this.#heldBytes -= bytes.length
      this.#sink?.data(bytes)
    }
  }

  #onClose(): void {
    // Both closed, or the other one has everything that we had to say.
    if (this.#closing && this.#queued === 0) this.#end(undefined)
    else this.#end(new RdvError("link_lost", `The channel to ${this.peer} was closed`))
  }

  #end(reason: RdvError | undefined): void {
    if (this.#over) return
    // What came before the end is delivered before it, also when it came into a pause.
    if (reason === undefined || reason.code === "link_lost") {
      this.#paused = false
      this.#wake()
      if (this.#over) return
    }
    this.#over = true
    this.#held = []
    this.#queue.clear()
    this.#queued = 0
    this.#timer?.cancel()
    this.#reason = reason
    queueMicrotask(() => {
      this.#options.onOver?.()
      this.#tell()
    })
  }

  /** Both the end and a sink that comes late lead here. */
  #tell(): void {
    if (this.#told || this.#sink === undefined) return
    this.#told = true
    this.#sink.closed(this.#reason)
  }
}

/** What every implementation takes, and what is fastest. */
export const mostMessageBytes = 65_536
/** The channel has so much and no more of ours; it takes on when it has less than `lowWaterBytes`. */
const highWaterBytes = 1_048_576
const lowWaterBytes = 262_144
/** What may arrive in a pause, before the link is given up: beyond any session's window. */
const heldLimitBytes = 16_777_216
const closeMs = 5000
