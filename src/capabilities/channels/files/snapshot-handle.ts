/** An open file whose content is made when it is read from its start, as in /proc, and that may take commands. */

import { utf8Decode } from "../../../base/text.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Handle, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"
import { errnoOf } from "./errno-of.ts"

export interface SnapshotFile {
  /** Undefined: it cannot be read. */
  readonly content?: () => Uint8Array
  /** Obeys what one write says, all of it or, when it throws, nothing. Undefined: it cannot be written. */
  readonly obey?: (text: string) => void
  /** Hears why it did not. */
  readonly refused?: (reason: string) => void
}

export class SnapshotHandle implements Handle {
  readonly #file: SnapshotFile
  #content: Uint8Array | undefined

  constructor(file: SnapshotFile) {
    this.#file = file
  }

  read(request: ReadRequest): void {
    const { content } = this.#file
    if (content === undefined) {
      request.fail(new NinepError("EBADF", "This file is for writing"))
      return
    }
    try {
      if (request.offset === 0 || this.#content === undefined) this.#content = content()
    } catch (error) {
      request.fail(errnoOf(error))
      return
    }
    request.answer(this.#content.subarray(request.offset, request.offset + request.count))
  }

  /** The offset means nothing: `>>` and `>` do the same. */
  write(request: WriteRequest): void {
    const { obey } = this.#file
    if (obey === undefined) {
      request.fail(new NinepError("EBADF", "This file is for reading"))
      return
    }
    try {
      obey(utf8Decode(request.bytes))
    } catch (thrown) {
      const error = errnoOf(thrown)
      this.#file.refused?.(error.message)
      request.fail(error)
      return
    }
    request.answer()
  }

  close(): void {
    this.#content = undefined
  }
}
