/**
 * An open file of another server. Reads and writes are passed on as they are, each by itself, so that one that is blocked
 * holds up no other; so are their withdrawals. What the other server says of message boundaries holds here too.
 */

import { writtenCount } from "../../../ninep/client-calls.ts"
import type { Calls, Reply } from "../../../ninep/client-calls.ts"
import { NinepError } from "../../../ninep/errno.ts"
import { readHeaderBytes } from "../../../ninep/message.ts"
import type { WireQid } from "../../../ninep/message.ts"
import type { RemoteFile } from "../../../ninep/remote-file.ts"
import type { BlockingRequest, Entry, Handle, Node, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"

export interface RemoteHandleOptions {
  /** Opened; the handle owns it. */
  readonly file: RemoteFile
  readonly calls: Calls
  readonly child: (name: string, qid: WireQid) => Node
  /** The handle was closed; `gone`: with its connection. */
  readonly onClose: (gone: boolean) => void
}

export class RemoteHandle implements Handle {
  readonly ioUnit: number
  readonly #options: RemoteHandleOptions

  constructor(options: RemoteHandleOptions) {
    this.#options = options
    this.ioUnit = options.file.mostBytes
  }

  get qid(): WireQid {
    return this.#options.file.qid
  }

  async list(): Promise<readonly Entry[]> {
    const { file, child } = this.#options
    return (await file.entries()).map(({ name, qid }) => ({ name, node: child(name, qid) }))
  }

  read(request: ReadRequest): void {
    const { calls, file } = this.#options
    const count = Math.min(request.count, this.ioUnit)
    this.#forward(
      request,
      (reply) => calls.read(file.fid, request.offset, count, reply),
      (bytes, start, end) => {
        const given = end - start - readHeaderBytes
        // The other server's largest answer may be larger than ours: it does not know that the client may ask on.
        const held = request.full && given === request.count && given > 1 && file.qid.version === 0 ? 1 : 0
        request.answer(bytes.subarray(start + readHeaderBytes, end - held))
      },
    )
  }

  write(request: WriteRequest): void {
    const { calls, file } = this.#options
    if (request.bytes.length > this.ioUnit) {
      request.fail(new NinepError("EMSGSIZE", `The server behind takes ${this.ioUnit} bytes at once`))
      return
    }
    const bytes = calls.full ? request.bytes.slice() : request.bytes
    const { length } = bytes
    this.#forward(
      request,
      (reply) => calls.write(file.fid, request.offset, bytes, reply),
      (answer, start) => {
        // The rest cannot be sent on from here, and is not passed over in silence.
        if (writtenCount(answer, start) === length) request.answer()
        else request.fail(new NinepError("EIO", "The server behind has written a part only"))
      },
    )
  }

  sync(): Promise<void> {
    return this.#options.file.sync()
  }

  async close(gone: boolean): Promise<void> {
    const { file, onClose } = this.#options
    try {
      // Nobody has clunked: the other server shall not take this for one.
      if (!gone) await file.clunk()
    } finally {
      onClose(gone)
    }
  }

  #forward(request: BlockingRequest, send: (reply: Reply) => number, answer: Reply["answered"]): void {
    const { calls } = this.#options
    let flushed: PromiseWithResolvers<void> | undefined
    let tag: number | undefined
    let isWithdrawn = false
    const reply: Reply = {
      answered: (bytes, start, end) => {
        request.onFlush = undefined
        answer(bytes, start, end)
        flushed?.resolve()
      },
      failed: (error) => {
        request.onFlush = undefined
        if (flushed === undefined || error.errno !== "EINTR") request.fail(error)
        flushed?.resolve()
      },
    }
    const go = (): void => {
      if (isWithdrawn) return
      // Those that waited before it may have filled it again.
      if (calls.full) {
        void calls.room().then(go)
        return
      }
      try {
        tag = send(reply)
      } catch (thrown) {
        request.onFlush = undefined
        request.fail(thrown instanceof NinepError ? thrown : new NinepError("EIO"))
      }
    }
    request.onFlush = () => {
      if (tag === undefined) {
        isWithdrawn = true
        return undefined
      }
      flushed ??= Promise.withResolvers<void>()
      calls.flush(tag)
      return flushed.promise
    }
    go()
  }
}
