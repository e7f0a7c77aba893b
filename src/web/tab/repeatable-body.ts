/** A request's body that can be sent to one server after another, as far as that is possible within bounds. */

/** What is kept of a stream for another time. */
const keptBytes = 1_048_576

export class RepeatableBody {
  readonly #source: Uint8Array | ReadableStream<Uint8Array> | undefined
  readonly #isKept: boolean
  readonly #kept: Uint8Array[] = []
  #bytes = 0
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined

  /** `isKept`: it shall be sent again even after a server has begun to read it. */
  constructor(source: Uint8Array | ReadableStream<Uint8Array> | undefined, isKept: boolean) {
    this.#source = source
    this.#isKept = isKept
  }

  /** Something of it is gone: what has been read of it was too long to be kept. */
  get isSpent(): boolean {
    if (!(this.#source instanceof ReadableStream)) return false
    return this.#isKept ? this.#bytes > keptBytes : this.#source.locked
  }

  /** From its first byte on. The one that was opened before is not used any more. */
  open(): Uint8Array | ReadableStream<Uint8Array> | undefined {
    const source = this.#source
    if (!this.#isKept || !(source instanceof ReadableStream)) return source
    const reader = (this.#reader ??= source.getReader())
    let at = 0
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const again = this.#kept[at++]
          if (again !== undefined) {
            controller.enqueue(again.slice())
            return
          }
          const { done, value } = await reader.read()
          if (done) {
            controller.close()
            return
          }
          this.#bytes += value.length
          if (this.#bytes <= keptBytes) this.#kept.push(value.slice())
          else this.#kept.length = 0
          controller.enqueue(value)
        },
      },
      { highWaterMark: 0 },
    )
  }
}
