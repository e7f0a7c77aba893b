/** The channel's own file: reads receive and writes send, through one descriptor too (`exec 3<>input`). */

import type { Handle, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"
import type { ReceiveHandle } from "./receive-handle.ts"
import type { SendHandle } from "./send-handle.ts"

export class PlainHandle implements Handle {
  readonly #receiving: ReceiveHandle
  readonly #sending: SendHandle

  constructor(receiving: ReceiveHandle, sending: SendHandle) {
    this.#receiving = receiving
    this.#sending = sending
  }

  read(request: ReadRequest): void {
    this.#receiving.read(request)
  }

  write(request: WriteRequest): void {
    this.#sending.write(request)
  }

  sync(): void | Promise<void> {
    return this.#sending.sync()
  }

  close(gone: boolean): void | Promise<void> {
    this.#receiving.close(gone)
    return this.#sending.close(gone)
  }
}
