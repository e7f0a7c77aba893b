/**
 * The body of a message as it comes off a stream: a web stream for the application, which pulls. Credit goes back when the
 * application has read, so what waits here is bounded by the stream's window, and a reader that stops stops the sender.
 */

import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"

/** Small pieces that wait are given in one: each read costs the same however little it brings. */
const pieceBytes = 128 * 1024

export class IncomingBody {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly #consumed: (bytes: number) => void
  readonly #waiting: Fifo<Uint8Array> = new Fifo()
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined
  #pulled: (() => void) | undefined
  #state: "open" | "ended" | "over" = "open"

  /** `cancelled`: the application wants no more of it. What comes then is dropped, with its credit. */
  constructor(consumed: (bytes: number) => void, cancelled: () => void = () => undefined) {
    this.#consumed = consumed
    this.stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#pull(),
        cancel: () => {
          this.drop()
          cancelled()
        },
      },
      // Nothing is taken ahead of a read.
      { highWaterMark: 0 },
    )
  }

  data(chunk: Uint8Array): void {
    if (this.#state !== "open") {
      this.#consumed(chunk.length)
      return
    }
    this.#waiting.push(chunk)
    if (this.#pulled !== undefined) this.#give()
  }

  end(): void {
    if (this.#state !== "open") return
    this.#state = "ended"
    if (this.#waiting.length === 0) this.#close()
  }

  /** It will not be whole. */
  fail(error: RdvError): void {
    if (this.#state === "over" || this.#state === "ended") return
    this.#drop()
    this.#controller?.error(error)
    this.#settlePull()
  }

  /** The message is done with. Who has begun to read goes on; for others there is no body any more. */
  discard(): void {
    if (this.#state === "over" || this.stream.locked) return
    this.#drop()
    this.#controller?.error(new RdvError("closed", "The request was answered before its body was read"))
  }

  /** Nobody reads it. */
  drop(): void {
    if (this.#state === "over") return
    this.#drop()
    this.#settlePull()
  }

  #drop(): void {
    this.#state = "over"
    for (let chunk = this.#waiting.shift(); chunk !== undefined; chunk = this.#waiting.shift()) {
      this.#consumed(chunk.length)
    }
  }

  #pull(): Promise<void> | undefined {
    if (this.#waiting.length > 0) {
      this.#give()
      return undefined
    }
    return new Promise((resolve) => (this.#pulled = resolve))
  }

  /** One piece for one read. The memory that it came in is not ours: so it is copied. */
  #give(): void {
    let bytes = 0
    const parts: Uint8Array[] = []
    for (let chunk = this.#waiting.peek(); chunk !== undefined; chunk = this.#waiting.peek()) {
      if (bytes > 0 && bytes + chunk.length > pieceBytes) break
      this.#waiting.shift()
      parts.push(chunk)
      bytes += chunk.length
    }
    const piece = new Uint8Array(bytes)
    let at = 0
    for (const part of parts) {
      piece.set(part, at)
      at += part.length
    }
    this.#controller?.enqueue(piece)
    if (this.#state === "ended" && this.#waiting.length === 0) this.#close()
    this.#settlePull()
    this.#consumed(bytes)
  }

  #close(): void {
    this.#state = "over"
    this.#controller?.close()
    this.#settlePull()
  }

  #settlePull(): void {
    const pulled = this.#pulled
    this.#pulled = undefined
    pulled?.()
  }
}
