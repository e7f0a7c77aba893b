/**
 * One conversation with a 9P client: cuts what arrives into requests, answers the frequent ones by hand and the others by
 * their operations, and keeps the promises about tags and fids. It knows no socket: bytes come in by `receive`, leave by the
 * output, and the loss of the connection is told by `closed`.
 */

import { Fifo } from "../base/fifo.ts"
import { systemClock } from "../base/clock.ts"
import type { Clock } from "../base/clock.ts"
import type { Log } from "../base/log.ts"
import { Answers } from "./answers.ts"
import type { NinepOutput } from "./answers.ts"
import { isPromise, then } from "./awaited.ts"
import { u32At } from "./byte-reader.ts"
import { OperationCall, QueuedCall, ReadCall, WriteCall } from "./served-calls.ts"
import type { Call, CallOwner } from "./served-calls.ts"
import { decode, messageBytes } from "./codec.ts"
import { NinepError } from "./errno.ts"
import type { ErrnoName } from "./errno.ts"
import { Fids, nodeOf } from "./fids.ts"
import type { Fid } from "./fids.ts"
import { Frames } from "./frames.ts"
import { defaultNinepLimits, leastMessageBytes } from "./limits.ts"
import type { NinepLimits } from "./limits.ts"
import { headerBytes, messageType, NOTAG, writeHeaderBytes } from "./message.ts"
import type { Dialect, Request } from "./message.ts"
import { exclusive, operate } from "./operations.ts"
import type { Desk, Effect } from "./operation.ts"
import { NinepProtocolError } from "./protocol-error.ts"
import { Requests } from "./requests.ts"
import { NinepStep } from "./step.ts"
import type { Tree } from "./tree.ts"

export interface NinepConnectionOptions {
  readonly tree: Tree
  readonly output: NinepOutput
  /** Hears of what ends the connection and of failures of the tree. */
  readonly log: Log
  readonly limits?: Partial<NinepLimits>
  readonly clock?: Clock
  /** What the connections of one server share; alone, a connection has its own. */
  readonly step?: NinepStep
}

export interface NinepStatus {
  /** Undefined before Tversion. */
  readonly dialect: Dialect | undefined
  readonly messageBytes: number
  readonly fids: number
  /** Requests without an answer. */
  readonly requests: number
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Answers that the client has not taken yet. */
  readonly waitingBytes: number
  readonly paused: boolean
}

/** Before a size is agreed on there is nothing to say but Tversion. */
const firstMessageBytes = 8192

export class NinepConnection implements CallOwner {
  /** It has broken the protocol or cannot be served any more: close what it came over. Called once, not after `closed`. */
  onEnd: ((reason: string) => void) | undefined
  readonly #tree: Tree
  readonly #log: Log
  readonly #limits: NinepLimits
  readonly #clock: Clock
  readonly #step: NinepStep
  readonly #frames: Frames
  readonly #answers: Answers
  readonly #fids: Fids
  readonly #requests: Requests
  /** Undefined before Tversion. */
  #desk: Desk | undefined
  #dialect: Dialect = "9P2000"
  #messageBytes = firstMessageBytes
  /** Counts the lives of the fids: Tversion and the end begin a new one. */
  #era = 0
  #isEnded = false
  #isPaused = false
  /** Requests that came while it was paused. */
  readonly #unread = new Fifo<Uint8Array>()
  #queuedBytes = 0
  #messagesIn = 0
  #bytesIn = 0

  constructor(options: NinepConnectionOptions) {
    this.#tree = options.tree
    this.#log = options.log
    this.#limits = { ...defaultNinepLimits, ...options.limits }
    this.#clock = options.clock ?? systemClock
    this.#step = options.step ?? new NinepStep()
    this.#frames = new Frames(firstMessageBytes, (bytes, start, end) => this.#take(bytes, start, end))
    this.#answers = new Answers(options.output, this.#step)
    this.#fids = new Fids(this.#limits.fids)
    this.#requests = new Requests(this.#answers, (doing, error) => this.#report(doing, error))
  }

  /** Stop reading for now: the client does not take its answers. Look after `receive` and after `drained`. */
  get paused(): boolean {
    return this.#isPaused
  }

  /** Bytes came in; they are used only during the call. Never throws. */
  receive(bytes: Uint8Array): void {
    if (this.#isEnded) return
    this.#bytesIn += bytes.length
    this.#within(() => this.#frames.push(bytes))
  }

  /** The output, which had answered false, has sent everything. */
  drained(): void {
    if (this.#isEnded) return
    this.#answers.drained()
    if (!this.#isPaused) return
    this.#within(() => {
      while (this.#answers.waiting <= this.#limits.waitingBytes) {
        const message = this.#unread.shift()
        this.#isPaused = message !== undefined
        if (message === undefined || this.#isEnded) return
        this.#message(message, 0, message.length)
      }
    })
  }

  /** The connection is lost or was closed: requests are withdrawn, handles closed as gone. */
  closed(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#answers.drop()
    this.#frames.stop()
    this.#unread.clear()
    this.#forget()
  }

  status(): NinepStatus {
    return {
      dialect: this.#desk?.dialect,
      messageBytes: this.#messageBytes,
      fids: this.#fids.size,
      requests: this.#requests.size,
      messagesIn: this.#messagesIn,
      messagesOut: this.#answers.count,
      bytesIn: this.#bytesIn,
      bytesOut: this.#answers.bytes,
      waitingBytes: this.#answers.waiting,
      paused: this.#isPaused,
    }
  }

  /** For its requests only. */
  answerRead(call: ReadCall, bytes: Uint8Array): void {
    if (call.isOver) return
    if (bytes.length > call.count) {
      this.failCall(call, new Error(`A read of ${call.count} bytes was answered with ${bytes.length}`))
      return
    }
    this.#requests.finish(call)
    this.#answers.rread(call.tag, bytes)
    this.#requests.answerFlushes(call)
    if (this.#answers.waiting > this.#limits.mostWaitingBytes) this.#giveUp()
  }

  /** For its requests only. */
  answerWrite(call: WriteCall): void {
    if (call.isOver) return
    this.#requests.finish(call)
    this.#answers.rwrite(call.tag, call.count)
    this.#requests.answerFlushes(call)
  }

  /** For its requests only. */
  failCall(call: Call, error: unknown): void {
    if (call.isOver) return
    this.#requests.finish(call)
    this.#failed(call.tag, error)
    this.#requests.answerFlushes(call)
  }

  /** Runs what may answer a lot, and ends the connection when the client has broken the protocol. */
  #within(run: () => void): void {
    this.#step.enter()
    try {
      run()
    } catch (error) {
      if (!(error instanceof NinepProtocolError)) throw error
      this.#end(error.message)
    } finally {
      this.#step.leave()
    }
  }

  #end(reason: string): void {
    if (this.#isEnded) return
    this.#log.warn("ninep.ended", { reason })
    this.#answers.flush()
    this.closed()
    this.onEnd?.(reason)
  }

  /** Later: whoever answers is in the middle of something. */
  #giveUp(): void {
    queueMicrotask(() => this.#end(`More than ${this.#limits.mostWaitingBytes} bytes of answers are not taken`))
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isPaused) this.#unread.push(copyOf(bytes, start, end - start))
    else {
      this.#message(bytes, start, end - start)
      if (this.#answers.waiting > this.#limits.waitingBytes) this.#isPaused = true
    }
  }

  #message(bytes: Uint8Array, at: number, size: number): void {
    this.#messagesIn++
    const type = bytes[at + 4] as number
    const tag = (bytes[at + 5] as number) | ((bytes[at + 6] as number) << 8)
    if (type === messageType.Tversion) {
      this.#version(bytes.subarray(at, at + size))
      return
    }
    if (this.#desk === undefined) broken("The first message is not Tversion")
    if (tag === NOTAG) broken("NOTAG is for Tversion alone")
    if (this.#requests.get(tag) !== undefined) broken(`The tag ${tag} is in use`)
    if (type === messageType.Tflush) {
      if (size !== headerBytes + 2) broken("A Tflush of a wrong size")
      this.#requests.flush(tag, (bytes[at + 7] as number) | ((bytes[at + 8] as number) << 8), this.#free)
      return
    }
    const fid = size >= headerBytes + 4 ? this.#fids.get(u32At(bytes, at + 7)) : undefined
    if (this.#requests.size >= this.#limits.requests && type !== messageType.Tclunk) this.#refuse(tag, "ENOBUFS")
    else if (fid?.busy !== undefined && type !== messageType.Tattach && type !== messageType.Tauth)
      this.#queue(fid, tag, bytes, at, size)
    else if (type === messageType.Tread && fid?.listing === undefined) this.#read(fid, tag, bytes, at, size)
    else if (type === messageType.Twrite) this.#write(fid, tag, bytes, at, size)
    else if (type === messageType.Tclunk || type === messageType.Tremove) {
      if (size !== headerBytes + 4) broken("A Tclunk or Tremove of a wrong size")
      this.#leave(fid, tag, type)
    } else this.#operate(tag, type, bytes.subarray(at, at + size), this.#desk)
  }

  #read(fid: Fid | undefined, tag: number, bytes: Uint8Array, at: number, size: number): void {
    if (size !== 23) broken("A Tread of a wrong size")
    const handle = fid?.handle
    if (fid === undefined || handle === undefined || !fid.isReadable) {
      this.#refuse(tag, "EBADF")
      return
    }
    const wanted = u32At(bytes, at + 19)
    const most = this.#messageBytes - 11
    const call = new ReadCall(
      this,
      tag,
      fid,
      u32At(bytes, at + 11) + u32At(bytes, at + 15) * 0x1_0000_0000,
      wanted < most ? wanted : most,
      wanted >= fid.fullCount,
    )
    this.#requests.add(call)
    fid.blocked++
    try {
      handle.read(call)
    } catch (error) {
      this.#thrown(call, error)
    }
  }

  #write(fid: Fid | undefined, tag: number, bytes: Uint8Array, at: number, size: number): void {
    const count = size < writeHeaderBytes ? -1 : u32At(bytes, at + 19)
    if (size !== writeHeaderBytes + count) broken("A Twrite of a wrong size")
    const handle = fid?.handle
    if (fid === undefined || handle === undefined || !fid.isWritable) {
      this.#refuse(tag, "EBADF")
      return
    }
    const offset = u32At(bytes, at + 11) + u32At(bytes, at + 15) * 0x1_0000_0000
    const data = new Uint8Array(bytes.buffer, bytes.byteOffset + at + writeHeaderBytes, count)
    const call = new WriteCall(this, tag, fid, offset, data)
    this.#requests.add(call)
    fid.blocked++
    try {
      handle.write(call)
      if (!call.isOver) call.release()
    } catch (error) {
      this.#thrown(call, error)
    }
  }

  #thrown(call: ReadCall | WriteCall, error: unknown): void {
    if (call.isOver) this.#report("answering", error)
    else this.failCall(call, error)
  }

  #version(bytes: Uint8Array): void {
    const message = decode(bytes, "9P2000", "T")
    if (message.type !== "Tversion") return
    const { tag, msize, version } = message
    const dialect = dialectOf(version)
    this.#answers.isMuted = true
    this.#forget()
    this.#answers.isMuted = this.#isEnded
    this.#desk = undefined
    this.#dialect = dialect ?? "9P2000"
    this.#messageBytes = firstMessageBytes
    if (msize < leastMessageBytes) this.#refuse(tag, "EMSGSIZE")
    else {
      const agreed = Math.min(msize, this.#limits.messageBytes)
      this.#answers.message({ type: "Rversion", tag, msize: agreed, version: dialect ?? "unknown" }, this.#dialect)
      if (dialect !== undefined) this.#begin(dialect, agreed)
    }
    this.#frames.msize = this.#messageBytes
  }

  #begin(dialect: Dialect, agreed: number): void {
    this.#messageBytes = agreed
    this.#desk = {
      tree: this.#tree,
      fids: this.#fids,
      limits: this.#limits,
      dialect,
      messageBytes: agreed,
      now: () => this.#clock.wall() / 1000,
    }
  }

  #operate(tag: number, type: number, bytes: Uint8Array, desk: Desk): void {
    let message: Request
    try {
      message = decode(bytes, desk.dialect, "T")
    } catch (error) {
      // What only a server says is no request that could be refused.
      if (!(error instanceof NinepProtocolError) || error.flaw === "broken" || type % 2 === 1) throw error
      this.#refuse(tag, error.flaw === "text" ? "EINVAL" : "EOPNOTSUPP")
      return
    }
    try {
      const outcome = operate(message, desk)
      if (!isPromise(outcome)) {
        this.#apply(tag, outcome)
        return
      }
      const call = new OperationCall(tag, this.#hold(message))
      if (call.held !== undefined) call.held.busy = call
      this.#requests.add(call)
      outcome.then(
        (effect) => this.#operated(call, effect),
        (error: unknown) => this.#operated(call, undefined, error),
      )
    } catch (error) {
      this.#failed(tag, error)
    }
  }

  /** The fid that is not free before the operation is done; a new one is there already, so that its number is taken. */
  #hold(message: Request): Fid | undefined {
    if (message.type === "Tattach") return this.#fids.add(message.fid, undefined)
    if (message.type === "Twalk") return this.#fids.get(message.newfid) ?? this.#fids.add(message.newfid, undefined)
    return exclusive.has(message.type) && "fid" in message ? this.#fids.get(message.fid) : undefined
  }

  #operated(call: OperationCall, effect: Effect | undefined, error?: unknown): void {
    if (call.isOver) {
      if (effect !== undefined) this.#undo(effect)
      return
    }
    this.#within(() => {
      this.#requests.finish(call)
      try {
        if (effect === undefined) throw error
        this.#apply(call.tag, effect)
      } catch (failure) {
        this.#failed(call.tag, failure)
      }
      this.#free(call)
    })
  }

  /** Throws, with nothing done, when the answer cannot be sent. */
  #apply(tag: number, effect: Effect): void {
    const answer = { ...effect.answer, tag }
    try {
      if (messageBytes(answer, this.#dialect) > this.#messageBytes)
        throw new NinepError("EMSGSIZE", `${answer.type} is larger than the agreed ${this.#messageBytes} bytes`)
    } catch (error) {
      this.#undo(effect)
      throw error
    }
    effect.commit?.()
    this.#answers.message(answer, this.#dialect)
  }

  #undo(effect: Effect): void {
    this.#quietly("closing", () => effect.undo?.())
  }

  /** Gives the fid back that an operation held, and goes on with what waited for it. */
  readonly #free = (call: Call): void => {
    if (call instanceof QueuedCall) this.#queuedBytes -= call.message.length
    if (!(call instanceof OperationCall) || call.held === undefined) return
    const fid = call.held
    fid.busy = undefined
    if (fid.node === undefined) this.#fids.delete(fid)
    while (fid.busy === undefined && !this.#isEnded) {
      const next = fid.queue.shift()
      if (next === undefined) return
      // Those that were flushed meanwhile are over.
      if (next.isOver) continue
      this.#queuedBytes -= next.message.length
      this.#requests.finish(next)
      this.#messagesIn--
      this.#message(next.message, 0, next.message.length)
    }
  }

  #queue(fid: Fid, tag: number, bytes: Uint8Array, at: number, size: number): void {
    if (this.#queuedBytes + size > this.#limits.queuedBytes) {
      this.#refuse(tag, "ENOBUFS")
      return
    }
    const call = new QueuedCall(tag, copyOf(bytes, at, size))
    this.#queuedBytes += size
    this.#requests.add(call)
    fid.queue.push(call)
  }

  /** Tclunk and Tremove. The number is free at once, whatever comes of it. */
  #leave(fid: Fid | undefined, tag: number, type: number): void {
    if (fid === undefined) {
      this.#refuse(tag, "EBADF")
      return
    }
    this.#fids.delete(fid)
    const era = this.#era
    let left: void | Promise<void>
    try {
      left = then(this.#requests.withdrawFrom(fid), () => {
        const close = () => fid.handle?.close(era !== this.#era)
        return type === messageType.Tremove ? afterwards(() => nodeOf(fid).remove(), close) : close()
      })
    } catch (error) {
      this.#failed(tag, error)
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
        if (call.isOver) this.#report("closing", error)
        else this.failCall(call, error)
      },
    )
  }

  /** All requests and fids are gone, and nobody hears answers. */
  #forget(): void {
    this.#era++
    this.#queuedBytes = 0
    this.#requests.drop()
    for (const fid of this.#fids.takeAll()) this.#quietly("closing", () => fid.handle?.close(true))
  }

  #refuse(tag: number, errno: ErrnoName): void {
    this.#answers.error(tag, errno, this.#dialect)
  }

  #failed(tag: number, error: unknown): void {
    if (!(error instanceof NinepError)) this.#report("answering", error)
    this.#refuse(tag, error instanceof NinepError ? error.errno : "EIO")
  }

  /** Nobody is told of its errors but the log. */
  #quietly(doing: string, run: () => void | Promise<void> | undefined): void {
    try {
      const running = run()
      if (isPromise(running)) running.catch((error: unknown) => this.#report(doing, error))
    } catch (error) {
      this.#report(doing, error)
    }
  }

  #report(doing: string, error: unknown): void {
    this.#log.error("ninep.failed", { doing, error: error instanceof Error ? error.message : String(error) })
  }
}

/** version(5): what stands behind a period is an extension, and may be answered by the version without it. */
function dialectOf(version: string): Dialect | undefined {
  if (version === "9P2000.L" || version === "9P2000.u") return version
  return version === "9P2000" || version.startsWith("9P2000.") ? "9P2000" : undefined
}

function broken(reason: string): never {
  throw new NinepProtocolError("broken", reason)
}

function copyOf(bytes: Uint8Array, at: number, size: number): Uint8Array {
  const copy = new Uint8Array(size)
  copy.set(bytes.subarray(at, at + size))
  return copy
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
    return then(second(), () => {
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
