/** The requests without an answer, by tag, and what flush(5) promises about them. */

import type { Answers } from "./answers.ts"
import { isPromise } from "./awaited.ts"
import { DataCall, FlushCall } from "./served-calls.ts"
import type { Call } from "./served-calls.ts"
import { NinepError } from "./errno.ts"
import type { Fid } from "./fids.ts"
import { KeyTable } from "./key-table.ts"
import { messageType } from "./message.ts"

export class Requests {
  readonly #table = new KeyTable<Call>()
  readonly #answers: Answers
  readonly #report: (doing: string, error: unknown) => void

  constructor(answers: Answers, report: (doing: string, error: unknown) => void) {
    this.#answers = answers
    this.#report = report
  }

  get size(): number {
    return this.#table.size
  }

  get(tag: number): Call | undefined {
    return this.#table.get(tag)
  }

  add(call: Call): void {
    this.#table.add(call.tag, call)
  }

  /** It is answered or withdrawn: its tag is free, and what is answered later is dropped. */
  finish(call: Call): void {
    call.isOver = true
    this.#table.delete(call.tag)
    if (call instanceof DataCall) call.fid.blocked--
  }

  /** Tflush. Returns the request when it is withdrawn and was none that a handle had. */
  flush(tag: number, oldtag: number): Call | undefined {
    const found = this.#table.get(oldtag)
    // A flush of a flush waits for the same.
    const target = found instanceof FlushCall ? found.target : found
    if (target === undefined) {
      this.#answers.plain(tag, messageType.Rflush)
      return undefined
    }
    if (target.flushes !== undefined) {
      this.#wait(tag, target, target.flushes)
      return undefined
    }
    if (!(target instanceof DataCall)) {
      // The answer will find nobody; waiting for it could take as long as the tree likes.
      this.finish(target)
      this.#answers.plain(tag, messageType.Rflush)
      return target
    }
    const withdrawal = this.#withdraw(target)
    if (withdrawal === undefined || target.isOver) {
      if (!target.isOver) this.finish(target)
      this.#answers.plain(tag, messageType.Rflush)
      return undefined
    }
    target.flushes = []
    this.#wait(tag, target, target.flushes)
    void withdrawal.then(() => {
      if (!target.isOver) this.finish(target)
      this.answerFlushes(target)
    })
    return undefined
  }

  /** What is behind the answer to a request: those who wanted it gone. */
  answerFlushes(call: Call): void {
    const { flushes } = call
    if (flushes === undefined) return
    call.flushes = undefined
    for (const tag of flushes) {
      const waiting = this.#table.get(tag)
      if (waiting !== undefined) this.finish(waiting)
      this.#answers.plain(tag, messageType.Rflush)
    }
  }

  /** Withdraws a fid's reads and writes, before it is clunked, and answers them. */
  withdrawFrom(fid: Fid): void | Promise<void> {
    if (fid.blocked === 0) return
    const waits: Promise<void>[] = []
    for (const call of this.#table.values()) {
      if (!(call instanceof DataCall) || call.fid !== fid || call.isOver) continue
      const withdrawal = this.#withdraw(call)
      const finish = () => call.fail(new NinepError("EINTR", "Its fid was clunked"))
      if (withdrawal === undefined) finish()
      else waits.push(withdrawal.then(finish))
    }
    if (waits.length > 0) return Promise.all(waits).then(() => undefined)
  }

  /** The client is gone, or has forgotten them all. */
  drop(): void {
    for (const call of this.#table.values()) {
      call.flushes = undefined
      // Whoever withdraws one may answer it, or another one, within the call.
      if (call instanceof DataCall && !call.isOver) void this.#withdraw(call)
      if (!call.isOver) this.finish(call)
    }
  }

  /** Calls `onFlush`, once. The promise does not reject. */
  #withdraw(call: DataCall): Promise<void> | undefined {
    if (call.withdrawal !== undefined) return call.withdrawal
    const failed = (error: unknown) => this.#report("flushing", error)
    try {
      const withdrawal = call.onFlush?.()
      if (isPromise(withdrawal)) call.withdrawal = withdrawal.catch(failed)
    } catch (error) {
      failed(error)
    }
    return call.withdrawal
  }

  #wait(tag: number, target: Call, flushes: number[]): void {
    flushes.push(tag)
    this.add(new FlushCall(tag, target))
  }
}
