/**
 * A WebSocket as applications see it, fed by callbacks: the codec of a visitor's connection is one carrier, a port to a
 * page of the own browser another. What waits is bounded both ways, by who carries it and by who awaits.
 */

import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { TabSocket } from "../app/socket.ts"

/** Bytes of one message, either way. */
export const messageBytes: number = 16 * 1024 * 1024
/** An application that sends without awaiting is cut off when so many bytes wait. */
export const backlogBytes: number = 4 * messageBytes

/** What moves messages. It is called from `open` on only. */
export interface SocketCarrier {
  /** Takes the message. False: `drained` follows when there is room. */
  send(message: string | Uint8Array): boolean
  /** Begins the end; `over` follows. */
  close(code: number, reason: string): void
  /** The application took a message of so many bytes, as `deliver` counted them: its sender may go on. */
  taken(bytes: number): void
}

interface Waiting {
  readonly message: string | Uint8Array
  readonly bytes: number
  readonly settled: PromiseWithResolvers<void>
}

export class QueuedSocket implements TabSocket {
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly messages: AsyncIterable<string | Uint8Array>
  readonly #carrier: SocketCarrier
  readonly #ending: PromiseWithResolvers<{ readonly code: number; readonly reason: string }> = Promise.withResolvers()
  readonly #incoming: Fifo<{ readonly message: string | Uint8Array; readonly bytes: number }> = new Fifo()
  readonly #readers: Fifo<PromiseWithResolvers<IteratorResult<string | Uint8Array>>> = new Fifo()
  readonly #outgoing: Fifo<Waiting> = new Fifo()
  #incomingBytes = 0
  #outgoingBytes = 0
  #state: "new" | "open" | "closing" | "over" = "new"
  #isFull = false
  /** Nobody will read any more. */
  #isDeaf = false
  #closeWith: { readonly code: number; readonly reason: string } | undefined

  constructor(carrier: SocketCarrier) {
    this.#carrier = carrier
    this.closed = this.#ending.promise
    const iterator: AsyncIterator<string | Uint8Array> = {
      next: () => this.#next(),
      return: () => {
        this.#stopReading()
        return Promise.resolve({ done: true, value: undefined })
      },
    }
    this.messages = { [Symbol.asyncIterator]: () => iterator }
  }

  // The application's side.

  send(message: string | Uint8Array): Promise<void> {
    const bytes = sizeOf(message)
    const failed = this.#whyNot(bytes)
    if (failed !== undefined) return rejected(failed)
    if (this.#state === "open" && !this.#isFull) {
      this.#isFull = !this.#carrier.send(message)
      return Promise.resolve()
    }
    const settled = Promise.withResolvers<void>()
    // Who does not await it learns of an end by `closed`.
    settled.promise.catch(() => undefined)
    this.#outgoing.push({ message: typeof message === "string" ? message : message.slice(), bytes, settled })
    this.#outgoingBytes += bytes
    return settled.promise
  }

  /** Throws `usage` for a code that nobody may send, or a reason over 123 bytes (RFC 6455 sections 7.4 and 5.5). */
  close(code = 1000, reason = ""): void {
    if (!isSendable(code))
      throw new RdvError("usage", `A socket cannot be closed with ${code}`, { mend: "1000, or 3000 to 4999" })
    if (new TextEncoder().encode(reason).length > 123) {
      throw new RdvError("usage", "The reason of a close is longer than 123 bytes")
    }
    if (this.#state === "closing" || this.#state === "over" || this.#closeWith !== undefined) return
    this.#closeWith = { code, reason }
    this.#flush()
  }

  // The carrier's side.

  /** Messages may be sent now. */
  open(): void {
    if (this.#state !== "new") return
    this.#state = "open"
    this.#flush()
  }

  /** What has been delivered and not been read, bytes. */
  get unreadBytes(): number {
    return this.#incomingBytes
  }

  /** A message arrived; its memory is the application's. */
  deliver(message: string | Uint8Array, bytes: number = sizeOf(message)): void {
    if (this.#state === "over") return
    const reader = this.#readers.shift()
    if (reader !== undefined || this.#isDeaf) {
      reader?.resolve({ done: false, value: message })
      this.#carrier.taken(bytes)
      return
    }
    this.#incoming.push({ message, bytes })
    this.#incomingBytes += bytes
  }

  /** There is room again. */
  drained(): void {
    this.#isFull = false
    this.#flush()
  }

  /** It is over; messages that were delivered can still be read. */
  over(code: number, reason: string): void {
    if (this.#state === "over") return
    this.#state = "over"
    this.#ending.resolve({ code, reason })
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) {
      reader.resolve({ done: true, value: undefined })
    }
    this.#dropOutgoing(new RdvError("closed", `The socket was closed with ${code}`))
  }

  #dropOutgoing(error: RdvError): void {
    for (let waiting = this.#outgoing.shift(); waiting !== undefined; waiting = this.#outgoing.shift()) {
      waiting.settled.reject(error)
    }
    this.#outgoingBytes = 0
  }

  #whyNot(bytes: number): RdvError | undefined {
    if (this.#state === "over" || this.#closeWith !== undefined) return new RdvError("closed", "The socket is closed")
    if (bytes > messageBytes) return new RdvError("too_large", `A message of ${bytes} bytes: at most ${messageBytes}`)
    if (this.#outgoingBytes + bytes <= backlogBytes) return undefined
    const error = new RdvError("limit", "The other side of the socket does not read what is sent", {
      mend: "await send",
    })
    this.#dropOutgoing(error)
    this.close(1013, "too slow")
    return error
  }

  #flush(): void {
    if (this.#state !== "open") return
    while (!this.#isFull) {
      const waiting = this.#outgoing.shift()
      if (waiting === undefined) break
      this.#outgoingBytes -= waiting.bytes
      this.#isFull = !this.#carrier.send(waiting.message)
      waiting.settled.resolve()
    }
    const closing = this.#closeWith
    if (closing === undefined || this.#outgoing.length > 0) return
    this.#state = "closing"
    this.#carrier.close(closing.code, closing.reason)
  }

  #next(): Promise<IteratorResult<string | Uint8Array>> {
    const first = this.#incoming.shift()
    if (first !== undefined) {
      this.#incomingBytes -= first.bytes
      if (this.#state !== "over") this.#carrier.taken(first.bytes)
      return Promise.resolve({ done: false, value: first.message })
    }
    if (this.#state === "over" || this.#isDeaf) return Promise.resolve({ done: true, value: undefined })
    const reader = Promise.withResolvers<IteratorResult<string | Uint8Array>>()
    this.#readers.push(reader)
    return reader.promise
  }

  /** A loop that was left: what comes is dropped, so that pings and the close still get through. */
  #stopReading(): void {
    this.#isDeaf = true
    const bytes = this.#incomingBytes
    this.#incoming.clear()
    this.#incomingBytes = 0
    if (bytes > 0 && this.#state !== "over") this.#carrier.taken(bytes)
  }
}

/** UTF-16 units count as bytes: it is a bound, not a measure. */
function sizeOf(message: string | Uint8Array): number {
  return message.length
}

function isSendable(code: number): boolean {
  return (
    Number.isInteger(code) &&
    ((code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
      (code >= 3000 && code <= 4999))
  )
}

function rejected(error: RdvError): Promise<void> {
  const promise = Promise.reject(error)
  promise.catch(() => undefined)
  return promise
}
