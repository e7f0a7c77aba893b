/**
 * Carries out operations: those that a tree answers at once, and those that take their time. While one changes a fid, what
 * comes for this fid waits in order; while it is flushed, its answer finds nobody and what it made is given back.
 */

import type { Answers } from "./answers.ts"
import { isPromise, andThen } from "./awaited.ts"
import { decode, messageBytes } from "./codec.ts"
import { NinepError } from "./errno.ts"
import { nodeOf } from "./fids.ts"
import type { Fid } from "./fids.ts"
import { messageType } from "./message.ts"
import type { Request } from "./message.ts"
import { exclusive, operate } from "./operations.ts"
import type { Desk, Effect } from "./operation.ts"
import { NinepProtocolError } from "./protocol-error.ts"
import type { Requests } from "./requests.ts"
import { OperationCall, QueuedCall } from "./served-calls.ts"
import type { Call } from "./served-calls.ts"

/** What the connection does for its operations. */
export interface OperatorHost {
  /** Runs what may answer and what may end the connection. */
  within(run: () => void): void
  /** A message that has waited, as if it had just arrived. */
  again(message: Uint8Array): void
  /** Answers with an error. */
  failed(tag: number, error: unknown): void
  /** For the log: nobody else is told. */
  report(doing: string, error: unknown): void
}

export class Operator {
  readonly #host: OperatorHost
  readonly #requests: Requests
  readonly #answers: Answers
  readonly #queueLimit: number
  #queuedBytes = 0
  /** Counts the lives of the fids: Tversion and the end begin a new one. */
  #era = 0

  constructor(host: OperatorHost, requests: Requests, answers: Answers, queuedBytes: number) {
    this.#host = host
    this.#requests = requests
    this.#answers = answers
    this.#queueLimit = queuedBytes
  }

  /** A request of any kind that is not answered by hand. Throws `NinepProtocolError` when it is broken. */
  operate(bytes: Uint8Array, desk: Desk): void {
    const tag = (bytes[5] as number) | ((bytes[6] as number) << 8)
    let message: Request
    try {
      message = decode(bytes, desk.dialect, "T")
    } catch (error) {
      // What only a server says is no request that could be refused.
      const isAnswer = (bytes[4] as number) % 2 === 1
      if (!(error instanceof NinepProtocolError) || error.flaw === "broken" || isAnswer) throw error
      this.#host.failed(tag, new NinepError(error.flaw === "text" ? "EINVAL" : "EOPNOTSUPP", error.message))
      return
    }
    try {
      const outcome = operate(message, desk)
      if (!isPromise(outcome)) {
        this.#apply(tag, outcome, desk)
        return
      }
      const call = new OperationCall(tag, hold(message, desk))
      if (call.held !== undefined) call.held.busy = call
      this.#requests.add(call)
      outcome.then(
        (effect) => this.#operated(call, desk, effect),
        (error: unknown) => this.#operated(call, desk, undefined, error),
      )
    } catch (error) {
      this.#host.failed(tag, error)
    }
  }

  /** A message for a fid that is busy. */
  queue(fid: Fid, tag: number, message: Uint8Array): void {
    if (this.#queuedBytes + message.length > this.#queueLimit) {
      this.#host.failed(tag, new NinepError("ENOBUFS", `More than ${this.#queueLimit} bytes wait for busy fids`))
      return
    }
    const copy = new Uint8Array(message.length)
    copy.set(message)
    const call = new QueuedCall(tag, copy)
    this.#queuedBytes += copy.length
    this.#requests.add(call)
    fid.queue.push(call)
  }

  /** Tclunk and Tremove. The fid is gone at once, whatever comes of it. */
  leave(fid: Fid, tag: number, type: number, desk: Desk): void {
    desk.fids.delete(fid)
    const era = this.#era
    let left: void | Promise<void>
    try {
      left = andThen(this.#requests.withdrawFrom(fid), () => {
        const close = () => fid.handle?.close(era !== this.#era)
        return type === messageType.Tremove ? afterwards(() => nodeOf(fid).remove(), close) : close()
      })
    } catch (error) {
      this.#host.failed(tag, error)
      return
    }
    if (!isPromise(left)) {
      this.#answers.plain(tag, type + 1)
      return
    }
    const call = new OperationCall(tag, undefined)
    this.#requests.add(call)
    left.then(
      () => {
        if (call.isOver) return
        this.#requests.finish(call)
        this.#answers.plain(tag, type + 1)
      },
      (error: unknown) => {
        if (call.isOver) {
          this.#host.report("closing", error)
          return
        }
        this.#requests.finish(call)
        this.#host.failed(tag, error)
      },
    )
  }

  /** A request that was neither read nor write is withdrawn: goes on with what waited for it. */
  withdrawn(call: Call, desk: Desk): void {
    if (call instanceof QueuedCall) this.#queuedBytes -= call.message.length
    else if (call instanceof OperationCall) this.#free(call, desk)
  }

  /** All requests and fids are gone, and nobody hears answers. */
  forget(fids: readonly Fid[]): void {
    this.#era++
    this.#queuedBytes = 0
    for (const fid of fids) this.#quietly(() => fid.handle?.close(true))
  }

  #operated(call: OperationCall, desk: Desk, effect: Effect | undefined, error?: unknown): void {
    if (call.isOver) {
      if (effect !== undefined) this.#quietly(() => effect.undo?.())
      return
    }
    this.#host.within(() => {
      this.#requests.finish(call)
      try {
        if (effect === undefined) throw error
        this.#apply(call.tag, effect, desk)
      } catch (failure) {
        this.#host.failed(call.tag, failure)
      }
      this.#free(call, desk)
    })
  }

  /** Throws, with nothing done, when the answer cannot be sent. */
  #apply(tag: number, effect: Effect, desk: Desk): void {
    const answer = { ...effect.answer, tag }
    try {
      if (messageBytes(answer, desk.dialect) > desk.messageBytes)
        throw new NinepError("EMSGSIZE", `${answer.type} is larger than the agreed ${desk.messageBytes} bytes`)
    } catch (error) {
      this.#quietly(() => effect.undo?.())
      throw error
    }
    effect.commit?.()
    this.#answers.message(answer, desk.dialect)
  }

  /** Gives the fid back that an operation held, and goes on with what waited for it. */
  #free(call: OperationCall, desk: Desk): void {
    const fid = call.held
    if (fid === undefined) return
    const era = this.#era
    fid.busy = undefined
    if (fid.node === undefined) desk.fids.delete(fid)
    while (fid.busy === undefined && era === this.#era) {
      const next = fid.queue.shift()
      if (next === undefined) return
      // Those that were flushed meanwhile are over.
      if (next.isOver) continue
      this.#queuedBytes -= next.message.length
      this.#requests.finish(next)
      this.#host.again(next.message)
    }
  }

  /** Nobody is told of its errors but the log. */
  #quietly(run: () => void | Promise<void> | undefined): void {
    const failed = (error: unknown) => this.#host.report("closing", error)
    try {
      const running = run()
      if (isPromise(running)) running.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** The fid that is not free before the operation is done; a new one is there already, so that its number is taken. */
function hold(message: Request, { fids }: Desk): Fid | undefined {
  if (message.type === "Tattach") return fids.add(message.fid, undefined)
  if (message.type === "Twalk") return fids.get(message.newfid) ?? fids.add(message.newfid, undefined)
  return exclusive.has(message.type) && "fid" in message ? fids.get(message.fid) : undefined
}

/** Runs both, the second one in any case; the first one's error is told. */
function afterwards(
  first: () => void | Promise<void>,
  second: () => void | Promise<void> | undefined,
): void | Promise<void> {
  let done: void | Promise<void>
  try {
    done = first()
  } catch (error) {
    return andThen(second(), () => {
      throw error
    })
  }
  if (!isPromise(done)) return second()
  return done.then(
    () => second(),
    async (error: unknown) => {
      await second()
      throw error
    },
  )
}
