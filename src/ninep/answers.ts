/**
 * The way from answers to the output. The frequent ones are written by hand into the memory in which the step's answers are
 * collected; all others by the codec. One write call takes what one synchronous step has answered.
 */

import { Fifo } from "../base/fifo.ts"
import { putU32 } from "./byte-writer.ts"
import { encodeInto, messageBytes } from "./codec.ts"
import { putRreadHead, putRwrite } from "./data-heads.ts"
import { errnos } from "./errno.ts"
import type { ErrnoName } from "./errno.ts"
import { headerBytes, readHeaderBytes } from "./message.ts"
import type { Answer, Dialect } from "./message.ts"
import type { Collector, NinepStep } from "./step.ts"

/** Where a connection's bytes go; a `ByteLink` is one. */
export interface NinepOutput {
  /**
   * Sends the bytes. True: it is done with them, and their memory is used again. False: it looks at them until it calls
   * `NinepConnection.drained`, and gets nothing more before.
   */
  write(bytes: Uint8Array): boolean
}

interface Batch {
  readonly slab: Uint8Array
  readonly length: number
}

export class Answers implements Collector {
  /** Answers are dropped: the connection is over, or its requests are. */
  isMuted = false
  count = 0
  bytes = 0
  readonly #output: NinepOutput
  readonly #step: NinepStep
  /** What is being collected, up to `#end`. */
  #slab: Uint8Array | undefined
  #end = 0
  /** Full slabs, while the output takes nothing. */
  readonly #backlog = new Fifo<Batch>()
  #backlogBytes = 0
  /** What the output looks at. */
  #lent: Batch | undefined
  #isCollected = false
  #isWriting = false

  constructor(output: NinepOutput, step: NinepStep) {
    this.#output = output
    this.#step = step
  }

  /** Bytes that the output has not taken yet. */
  get waiting(): number {
    return this.#lent === undefined ? 0 : this.#lent.length + this.#backlogBytes + this.#end
  }

  rread(tag: number, data: Uint8Array): void {
    const length = data.length
    const at = this.#room(readHeaderBytes + length)
    if (at < 0) return
    const slab = this.#slab as Uint8Array
    const body = putRreadHead(slab, at, tag, length)
    // A call of `set` costs as much as some dozens of single bytes.
    if (length > 48) slab.set(data, body)
    else for (let index = 0; index < length; index++) slab[body + index] = data[index] as number
    this.#ready()
  }

  rwrite(tag: number, count: number): void {
    const at = this.#room(readHeaderBytes)
    if (at < 0) return
    putRwrite(this.#slab as Uint8Array, at, tag, count)
    this.#ready()
  }

  /** An answer without a body: Rclunk, Rflush … */
  plain(tag: number, type: number): void {
    const at = this.#room(headerBytes)
    if (at < 0) return
    const slab = this.#slab as Uint8Array
    putU32(slab, at, headerBytes)
    slab[at + 4] = type
    slab[at + 5] = tag
    slab[at + 6] = tag >>> 8
    this.#ready()
  }

  error(tag: number, errno: ErrnoName, dialect: Dialect): void {
    const { number, text } = errnos[errno]
    if (dialect === "9P2000.L") this.message({ type: "Rlerror", tag, ecode: number }, dialect)
    else this.message({ type: "Rerror", tag, ename: text, errno: number }, dialect)
  }

  /** Throws `NinepError` before anything is written, when the message cannot be encoded. */
  message(answer: Answer, dialect: Dialect): void {
    const at = this.#room(messageBytes(answer, dialect))
    if (at < 0) return
    encodeInto(answer, dialect, this.#slab as Uint8Array, at)
    this.#ready()
  }

  /** Writes what is collected. */
  flush(): void {
    this.#isCollected = false
    // An output that calls back from within `write` comes here again; the order stays.
    if (this.#isWriting) return
    this.#isWriting = true
    try {
      for (let batch = this.#next(); batch !== undefined; batch = this.#next()) {
        this.#lent = batch
        this.bytes += batch.length
        if (!this.#output.write(new Uint8Array(batch.slab.buffer, 0, batch.length))) return
        this.#takeBack()
      }
    } finally {
      this.#isWriting = false
    }
  }

  /** The output has room again. */
  drained(): void {
    this.#takeBack()
    this.flush()
  }

  /** Nothing is answered any more. What the output looks at stays as it is. */
  drop(): void {
    this.isMuted = true
    this.#backlog.clear()
    this.#backlogBytes = 0
    this.#end = 0
    this.#slab = undefined
  }

  #next(): Batch | undefined {
    if (this.#lent !== undefined) return undefined
    const batch = this.#backlog.shift()
    if (batch !== undefined) {
      this.#backlogBytes -= batch.length
      return batch
    }
    if (this.#slab === undefined || this.#end === 0) return undefined
    return this.#cut(this.#slab)
  }

  #cut(slab: Uint8Array): Batch {
    const batch = { slab, length: this.#end }
    this.#slab = undefined
    this.#end = 0
    return batch
  }

  #takeBack(): void {
    const lent = this.#lent
    if (lent === undefined) return
    this.#lent = undefined
    this.#step.give(lent.slab)
  }

  /** Makes room for a message and returns where it begins; -1 when muted. */
  #room(size: number): number {
    if (this.isMuted) return -1
    this.count++
    if (this.#slab !== undefined && this.#slab.length - this.#end < size) {
      if (this.#lent === undefined && !this.#isWriting) this.flush()
      if (this.#end > 0 && this.#slab !== undefined) {
        this.#backlogBytes += this.#end
        this.#backlog.push(this.#cut(this.#slab))
      }
    }
    this.#slab ??= this.#step.take(size)
    const at = this.#end
    this.#end = at + size
    return at
  }

  #ready(): void {
    if (!this.#step.isOpen) this.flush()
    else if (!this.#isCollected) {
      this.#isCollected = true
      this.#step.collect(this)
    }
  }
}
