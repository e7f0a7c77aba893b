/** A web stream that Go writes: it waits whenever the reader does. */

import { RdvError } from "../../../base/error.ts"

/** Bytes that may wait for the reader. */
const roomBytes = 256 * 1024

export class Outlet {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined
  #room: PromiseWithResolvers<undefined> | undefined
  #isOver = false

  /** `cancelled`: the reader has gone. */
  constructor(cancelled: () => void) {
    this.stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          this.#settle()
        },
        cancel: () => {
          if (this.#isOver) return
          this.#isOver = true
          this.#settle()
          cancelled()
        },
      },
      { highWaterMark: roomBytes, size: (chunk) => chunk.length },
    )
  }

  /** Takes a copy of the bytes; a promise: there is room when it resolves. Throws `closed` when nobody reads. */
  write(bytes: Uint8Array): Promise<undefined> | undefined {
    if (this.#isOver) throw new RdvError("closed", "Nobody reads it any more")
    if (bytes.length > 0) this.#controller?.enqueue(bytes.slice())
    if ((this.#controller?.desiredSize ?? 0) > 0) return undefined
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  /** That was all. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#controller?.close()
    this.#settle()
  }

  /** It will not be whole. */
  fail(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#controller?.error(error)
    this.#settle()
  }

  #settle(): void {
    this.#room?.resolve(undefined)
    this.#room = undefined
  }
}
