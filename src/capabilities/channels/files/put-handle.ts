/**
 * An open file whose bytes from open to close are one message; fsync sends what is there so far as a message of its own.
 * Errors belong to writes and to fsync: the client's kernel drops those of a close. A program that is killed is closed by
 * its kernel, and what it has written is sent: nobody can tell this from a close. What a lost connection leaves behind is
 * dropped, since nobody committed it. A close that waits for a receiver stays committed when its connection is lost meanwhile.
 * A message of which a piece was refused is sent not at all: what is there of it looks whole, and is not.
 */

import { emptyBytes } from "../../../base/bytes.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Handle, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"
import type { Channel } from "../core/channel.ts"
import type { Writer } from "../core/writer.ts"
import { errnoOf } from "./errno-of.ts"
import type { SendWays } from "./file-sending.ts"
import { sendAlone } from "./send-handle.ts"

export class PutHandle implements Handle {
  readonly #channel: Channel
  readonly #ways: SendWays
  readonly #writer: Writer
  /** Grows by doubling; its length is reserved in the memory for messages. */
  #buffer: Uint8Array = emptyBytes
  #length = 0
  /** Why a piece was refused; nothing that this file was given since its last fsync is sent then. */
  #refused: NinepError | undefined

  /** Throws `removed`, `limit`. */
  constructor(channel: Channel, ways: SendWays) {
    this.#channel = channel
    this.#ways = ways
    this.#writer = channel.writer()
  }

  read(request: ReadRequest): void {
    request.fail(new NinepError("EBADF", "This file is for sending"))
  }

  write(request: WriteRequest): void {
    const { settings, removed, closed, path } = this.#channel
    if (removed) request.fail(new NinepError("EIDRM", `${path} was removed`))
    else if (closed) request.fail(new NinepError("EPIPE", `${path} is closed`))
    else if (this.#refused !== undefined) request.fail(this.#refused)
    else if (this.#length + request.bytes.length > settings.maxMessage) {
      this.#refuse(
        request,
        new NinepError("EMSGSIZE", `${path} takes messages of at most ${settings.maxMessage} bytes`),
      )
    } else {
      try {
        this.#add(request.bytes)
      } catch (error) {
        this.#refuse(request, errnoOf(error))
        return
      }
      request.answer()
    }
  }

  /** Tells of a refused piece, too; what is written behind it is a new message. */
  sync(): void | Promise<void> {
    const refused = this.#refused
    this.#refused = undefined
    if (refused !== undefined) throw refused
    return this.#commit()
  }

  close(gone: boolean): void | Promise<void> {
    const sent = gone ? undefined : this.#commit()
    this.#drop()
    if (sent === undefined) {
      this.#writer.leave()
      return undefined
    }
    return sent.finally(() => this.#writer.leave())
  }

  #refuse(request: WriteRequest, reason: NinepError): void {
    this.#refused = reason
    this.#drop()
    request.fail(reason)
  }

  #add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length
    if (length > this.#buffer.length) {
      const size = Math.min(Math.max(length, 2 * this.#buffer.length, 4096), this.#channel.settings.maxMessage)
      this.#ways.memory.reserve(size - this.#buffer.length)
      const larger = new Uint8Array(size)
      larger.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#length)
    this.#length = length
  }

  /** The channel counts the message's memory from here on. */
  #commit(): Promise<void> | undefined {
    const message = this.#buffer.slice(0, this.#length)
    this.#drop()
    return message.length === 0 ? undefined : sendAlone(this.#writer, message, this.#ways)
  }

  #drop(): void {
    this.#ways.memory.free(this.#buffer.length)
    this.#buffer = emptyBytes
    this.#length = 0
  }
}
