/** One direction of an exchange, where it goes to: chunks become a stream, and credit goes back as its reader takes them. */

import { chunkBytes, windowBytes } from "./messages.ts"

export interface BodyReceiverOptions {
  readonly onCredit: (bytes: number) => void
  /** The reader does not want the rest. */
  readonly onCancel: () => void
}

export class BodyReceiver {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly #options: BodyReceiverOptions
  readonly #waiting: Uint8Array<ArrayBuffer>[] = []
  #waitingBytes = 0
  #totalBytes = 0
  /** Taken, and not given back as credit yet. */
  #taken = 0
  #isEnded = false
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined
  #pulled: (() => void) | undefined

  constructor(options: BodyReceiverOptions) {
    this.#options = options
    this.stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          if (this.#give()) return undefined
          return new Promise<void>((resolve) => (this.#pulled = resolve))
        },
        cancel: () => {
          this.#controller = undefined
          this.#waiting.length = 0
          this.#pulled?.()
          options.onCancel()
        },
      },
      { highWaterMark: 0 },
    )
  }

  chunk(bytes: Uint8Array): void {
    if (this.#controller === undefined) return
    this.#totalBytes += bytes.length
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > windowBytes + chunkBytes) {
      this.fail(new TypeError("Too much came"))
      return
    }
    this.#waiting.push(bytes as Uint8Array<ArrayBuffer>)
    this.#wake()
  }

  end(totalBytes: number): void {
    if (totalBytes !== this.#totalBytes) {
      this.fail(new TypeError(`${this.#totalBytes} of ${totalBytes} bytes came`))
      return
    }
    this.#isEnded = true
    // What nobody reads ends all the same.
    if (this.#waiting.length === 0) this.#give()
    this.#wake()
  }

  /** Without an error it merely ends here. */
  fail(error?: unknown): void {
    if (error === undefined) this.#controller?.close()
    else this.#controller?.error(error)
    this.#controller = undefined
    this.#waiting.length = 0
    this.#pulled?.()
  }

  #wake(): void {
    if (this.#pulled === undefined || !this.#give()) return
    const pulled = this.#pulled
    this.#pulled = undefined
    pulled()
  }

  /** True when the reader has got something. */
  #give(): boolean {
    const bytes = this.#waiting.shift()
    if (bytes === undefined) {
      if (!this.#isEnded) return this.#controller === undefined
      this.#controller?.close()
      this.#controller = undefined
      return true
    }
    this.#waitingBytes -= bytes.length
    this.#controller?.enqueue(bytes)
    if (this.#isEnded) {
      if (this.#waiting.length === 0) this.#give()
      return true
    }
    this.#taken += bytes.length
    if (this.#taken >= windowBytes / 4) {
      this.#options.onCredit(this.#taken)
      this.#taken = 0
    }
    return true
  }
}
