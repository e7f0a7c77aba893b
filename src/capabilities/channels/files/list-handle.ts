/** An open folder. */

import { NinepError } from "../../../ninep/errno.ts"
import type { Entry, Handle, OpenMode, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"

export class ListHandle implements Handle {
  readonly #list: () => Entry[]

  /** Throws `EISDIR` for writing. */
  constructor(mode: OpenMode, list: () => Entry[]) {
    if (mode.write || mode.truncate) throw new NinepError("EISDIR")
    this.#list = list
  }

  list(): readonly Entry[] {
    return this.#list()
  }

  read(request: ReadRequest): void {
    request.fail(new NinepError("EISDIR"))
  }

  write(request: WriteRequest): void {
    request.fail(new NinepError("EISDIR"))
  }

  close(): void {}
}
