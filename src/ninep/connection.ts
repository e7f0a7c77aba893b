/**
 * One conversation with a 9P client: cuts what arrives into requests, answers the frequent ones by hand and the others by
 * their operations, and keeps the promises about tags and fids. It knows no socket: bytes come in by `receive`, leave by the
 * output, and the loss of the connection is told by `closed`.
 */

import { emptyBytes } from "../base/bytes.ts"
import { Fifo } from "../base/fifo.ts"
import { systemClock } from "../base/clock.ts"
import type { Clock } from "../base/clock.ts"
import type { Log } from "../base/log.ts"
import { Answers } from "./answers.ts"
import type { NinepOutput } from "./answers.ts"
import { u32At } from "./byte-reader.ts"
import { ReadCall, WriteCall } from "./served-calls.ts"
import type { Call, CallOwner } from "./served-calls.ts"
import { decode } from "./codec.ts"
import { NinepError } from "./errno.ts"
import type { ErrnoName } from "./errno.ts"
import { Fids } from "./fids.ts"
import type { Fid } from "./fids.ts"
import { Frames } from "./frames.ts"
import { defaultNinepLimits, leastMessageBytes } from "./limits.ts"
import type { NinepLimits } from "./limits.ts"
import { headerBytes, messageType, NOTAG, writeHeaderBytes } from "./message.ts"
import type { Dialect } from "./message.ts"
import type { Desk } from "./operation.ts"
import { Operator } from "./operator.ts"
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

/** Of the offset of a Tread: what is read there ends below 2^53. */
const farthest = 2 ** 52

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
  readonly #operator: Operator
  /** Undefined before Tversion. */
  #desk: Desk | undefined
  #dialect: Dialect = "9P2000"
  #messageBytes = firstMessageBytes
  #isEnded = false
  #isPaused = false
  /** Requests that came while it was paused. */
  readonly #unread = new Fifo<Uint8Array>()
  #messagesIn = 0
  #bytesIn = 0

  constructor(options: NinepConnectionOptions) {
    this.#tree = options.tree
    this.#log = options.log
    this.#limits = { ...defaultNinepLimits, ...options.limits }
    this.#clock = options.clock ?? systemClock
    this.#step = options.step ?? new NinepStep()
    this.#frames = new Frames(firstMessageBytes, (bytes, start, end) => this.#take(bytes, start, end), this.#step)
    this.#answers = new Answers(options.output, this.#step)
    this.#fids = new Fids(this.#limits.fids)
    const report = (doing: string, error: unknown) => this.#report(doing, error)
    this.#requests = new Requests(this.#answers, report)
    const host = {
      within: (run: () => void) => this.#within(run),
      again: (message: Uint8Array) => this.#message(message, 0, message.length),
      failed: (tag: number, error: unknown) => this.#failed(tag, error),
      report,
    }
    this.#operator = new Operator(host, this.#requests, this.#answers, this.#limits.queuedBytes)
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
    this.#messagesIn++
    if (this.#isPaused) this.#unread.push(copyOf(bytes, start, end - start))
    else {
      this.#message(bytes, start, end - start)
      if (this.#answers.waiting > this.#limits.waitingBytes) this.#isPaused = true
    }
  }

  #message(bytes: Uint8Array, at: number, size: number): void {
    const type = bytes[at + 4] as number
    const tag = (bytes[at + 5] as number) | ((bytes[at + 6] as number) << 8)
    if (type === messageType.Tversion) {
      this.#version(bytes.subarray(at, at + size))
      return
    }
    const desk = this.#desk
    if (desk === undefined) broken("The first message is not Tversion")
    if (tag === NOTAG) broken("NOTAG is for Tversion alone")
    if (this.#requests.get(tag) !== undefined) broken(`The tag ${tag} is in use`)
    if (type === messageType.Tflush) {
      if (size !== headerBytes + 2) broken("A Tflush of a wrong size")
      const oldtag = (bytes[at + 7] as number) | ((bytes[at + 8] as number) << 8)
      const withdrawn = this.#requests.flush(tag, oldtag)
      if (withdrawn !== undefined) this.#operator.withdrawn(withdrawn, desk)
      return
    }
    const fid = size >= headerBytes + 4 ? this.#fids.get(u32At(bytes, at + 7)) : undefined
    if (this.#requests.size >= this.#limits.requests && type !== messageType.Tclunk) this.#refuse(tag, "ENOBUFS")
    else if (fid?.busy !== undefined && type !== messageType.Tattach && type !== messageType.Tauth)
      this.#operator.queue(fid, tag, bytes.subarray(at, at + size))
    else if (type === messageType.Tread && fid?.listing === undefined) this.#read(fid, tag, bytes, at, size)
    else if (type === messageType.Twrite) this.#write(fid, tag, bytes, at, size)
    else if (type === messageType.Tclunk || type === messageType.Tremove) {
      if (size !== headerBytes + 4) broken("A Tclunk or Tremove of a wrong size")
      if (fid === undefined) this.#refuse(tag, "EBADF")
      else this.#operator.leave(fid, tag, type, desk)
    } else this.#operator.operate(bytes.subarray(at, at + size), desk)
  }

  #read(fid: Fid | undefined, tag: number, bytes: Uint8Array, at: number, size: number): void {
    if (size !== 23) broken("A Tread of a wrong size")
    const handle = fid?.handle
    if (fid === undefined || handle === undefined || !fid.isReadable) {
      this.#refuse(tag, "EBADF")
      return
    }
    const wanted = u32At(bytes, at + 19)
    if (wanted === 0) {
      // Nobody shall wait for a message, or lose one, that there is no room for.
      this.#answers.rread(tag, emptyBytes)
      return
    }
    const offset = u32At(bytes, at + 11) + u32At(bytes, at + 15) * 0x1_0000_0000
    if (offset > farthest) {
      // Nobody shall be given a message at a place that cannot be counted on from.
      this.#refuse(tag, "EINVAL")
      return
    }
    const most = this.#messageBytes - 11
    const call = new ReadCall(this, tag, fid, offset, wanted < most ? wanted : most, wanted >= fid.fullCount)
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

  /** All requests and fids are gone, and nobody hears answers. */
  #forget(): void {
    this.#requests.drop()
    this.#operator.forget(this.#fids.takeAll())
  }

  #refuse(tag: number, errno: ErrnoName): void {
    this.#answers.error(tag, errno, this.#dialect)
  }

  #failed(tag: number, error: unknown): void {
    if (!(error instanceof NinepError)) this.#report("answering", error)
    this.#refuse(tag, error instanceof NinepError ? error.errno : "EIO")
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
