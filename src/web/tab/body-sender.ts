/** One direction of an exchange, where it comes from: a stream is cut into chunks that leave while there is credit. */

import type { Chunk, End } from "./messages.ts"
import { chunkBytes, windowBytes } from "./messages.ts"

export interface BodySenderOptions {
  readonly id: number
  readonly source: Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">
  readonly post: (message: Chunk | End, ...transfer: Transferable[]) => void
  /** Nobody else has the source's buffers: they are sent without a copy. */
  readonly isOwned: boolean
  /** The source broke. Nothing more is sent. */
  readonly onFailure: (error: unknown) => void
  readonly onEnd: () => void
  /** By `cancel`. */
  readonly onCancel: () => void
}

export class BodySender {
  readonly #options: BodySenderOptions
  #credit = windowBytes
  #totalBytes = 0
  #isOver = false
  #onCredit: (() => void) | undefined

  constructor(options: BodySenderOptions) {
    this.#options = options
  }

  /** `first`: a chunk that was read before; `next`: a read that is under way. */
  start(first?: Uint8Array, next?: Promise<ReadableStreamReadResult<Uint8Array>>): void {
    void this.#run(first, next)
  }

  credit(bytes: number): void {
    this.#credit += bytes
    this.#onCredit?.()
  }

  /** Lets the source know that nobody wants the rest. */
  cancel(reason?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#onCredit?.()
    this.#options.source.cancel(reason).catch(() => undefined)
    this.#options.onCancel()
  }

  async #run(first?: Uint8Array, next?: Promise<ReadableStreamReadResult<Uint8Array>>): Promise<void> {
    const { id, source, post, onFailure, onEnd } = this.#options
    let reading = next
    try {
      if (first !== undefined) await this.#send(first)
      while (!this.#isOver) {
        const { done, value } = await (reading ?? source.read())
        reading = undefined
        if (this.#isOver) return
        if (done) {
          this.#isOver = true
          post({ kind: "end", id, totalBytes: this.#totalBytes })
          onEnd()
        } else await this.#send(value)
      }
    } catch (error) {
      if (this.#isOver) return
      this.#isOver = true
      source.cancel(error).catch(() => undefined)
      onFailure(error)
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { id, post, isOwned } = this.#options
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      while (this.#credit <= 0 && !this.#isOver) await new Promise<void>((resolve) => (this.#onCredit = resolve))
      if (this.#isOver) return
      const isWhole = isOwned && bytes.length <= chunkBytes && bytes.byteLength === bytes.buffer.byteLength
      const chunk = isWhole ? bytes : bytes.slice(at, at + chunkBytes)
      this.#credit -= chunk.length
      this.#totalBytes += chunk.length
      post({ kind: "chunk", id, bytes: chunk }, chunk.buffer as ArrayBuffer)
    }
  }
}
