/**
 * An open file that sends: each write is a message, or, where the channel's `lines` is on, each line is. A write is answered
 * when its message has arrived, by the channel's grade. What the client flushes is withdrawn, or, when a receiver was found
 * already, answered: the message is the channel's then.
 */

import { concat } from "../../../base/bytes.ts"
import { Fifo } from "../../../base/fifo.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Handle, ReadRequest, WriteRequest } from "../../../ninep/tree.ts"
import type { Channel } from "../core/channel.ts"
import type { Writer } from "../core/writer.ts"
import { errnoOf } from "./errno-of.ts"
import { FileSending } from "./file-sending.ts"
import type { SendWays } from "./file-sending.ts"
import { LineBatch } from "./line-batch.ts"
import { LineCutter } from "./line-cutter.ts"

export class SendHandle implements Handle {
  readonly #channel: Channel
  readonly #ways: SendWays
  readonly #writer: Writer
  readonly #cutter: LineCutter = new LineCutter()
  /** Of lines; the first one is under way. */
  readonly #batches: Fifo<LineBatch> = new Fifo()

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
    if (this.#channel.settings.lines) {
      this.#writeLines(request)
      return
    }
    // Left from when the channel was in lines.
    const rest = this.#takeRest()
    // Not `slice`: of a Buffer that is no copy.
    const bytes = rest.length === 0 ? new Uint8Array(request.bytes) : concat([rest, request.bytes])
    const sending = new FileSending(this.#writer, bytes, (error) => answer(request, error))
    request.onFlush = () => {
      if (sending.withdraw()) return
      sending.entrust()
      answer(request, undefined)
    }
    sending.send(this.#ways)
  }

  /** The unfinished line goes out. */
  sync(): void | Promise<void> {
    return this.#sendRest()
  }

  /** So it does here; what is sent after its connection was lost was meant by nobody. */
  close(gone: boolean): void | Promise<void> {
    const sent = gone ? undefined : this.#sendRest()
    this.#takeRest()
    if (sent === undefined) {
      this.#writer.leave()
      return undefined
    }
    return sent.finally(() => this.#writer.leave())
  }

  #sendRest(): Promise<void> | undefined {
    const rest = this.#takeRest()
    return rest.length === 0 ? undefined : sendAlone(this.#writer, rest, this.#ways)
  }

  #writeLines(request: WriteRequest): void {
    let lines: Uint8Array
    try {
      lines = this.#cut(request.bytes)
    } catch (error) {
      request.fail(errnoOf(error))
      return
    }
    if (lines.length === 0) {
      request.answer()
      return
    }
    let isAnswered = false
    const batch = new LineBatch(this.#writer, lines, this.#ways, (error) => {
      isAnswered = true
      answer(request, error)
      this.#nextBatch(batch)
    })
    this.#batches.push(batch)
    request.onFlush = () => {
      if (isAnswered) return
      if (batch.abandon()) answer(request, undefined)
      this.#nextBatch(batch)
    }
    if (this.#batches.peek() === batch) batch.send()
  }

  /** The lines and what is unfinished take memory from here on. */
  #cut(bytes: Uint8Array): Uint8Array {
    const { memory } = this.#ways
    memory.reserve(bytes.length)
    try {
      return this.#cutter.cut(bytes, this.#channel.settings.maxMessage)
    } catch (error) {
      memory.free(bytes.length)
      throw error
    }
  }

  #takeRest(): Uint8Array {
    const rest = this.#cutter.takeRest()
    this.#ways.memory.free(rest.length)
    return rest
  }

  #nextBatch(over: LineBatch): void {
    if (this.#batches.peek() !== over) return
    this.#batches.shift()
    // Those that were abandoned in the queue are over already and say so at once.
    const next = this.#batches.peek()
    if (next === undefined) return
    if (next.isOver) this.#nextBatch(next)
    else next.send()
  }
}

function answer(request: WriteRequest, error: NinepError | undefined): void {
  request.onFlush = undefined
  if (error === undefined) request.answer()
  else request.fail(error)
}

/** A message that no write waits for. Rejects with what became of it. */
export function sendAlone(writer: Writer, bytes: Uint8Array, ways: SendWays): Promise<void> {
  return new Promise((resolve, reject) => {
    new FileSending(writer, bytes, (error) => (error === undefined ? resolve() : reject(error))).send(ways)
  })
}
