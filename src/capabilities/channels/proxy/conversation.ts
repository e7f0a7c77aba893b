/**
 * One client's 9P conversation, which lives as long as the client wants and over as many connections upstream as it takes.
 *
 *     away ──link──▶ restoring ──done──▶ live
 *      ▲                 │                 │
 *      └──── lost ───────┴──── lost ───────┘
 *
 * Messages pass as they are, with the client's own fids and tags, because upstream has no other client on this connection.
 * Each request is kept until its answer has come. While there is no server, requests wait, and the client sees nothing but
 * time; when there is one again, its fids are made (`restore.ts`) and what has no answer is sent again (`repeat.ts`).
 */

import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { ByteLink } from "../../../ninep/byte-link.ts"
import { putU64 } from "../../../ninep/byte-writer.ts"
import { decode, encode } from "../../../ninep/codec.ts"
import { Frames } from "../../../ninep/frames.ts"
import { headerBytes, messageType, NOTAG } from "../../../ninep/message.ts"
import type { Dialect } from "../../../ninep/message.ts"
import { Outbox } from "../../../ninep/outbox.ts"
import { NinepProtocolError } from "../../../ninep/protocol-error.ts"
import { errorAnswer, failureOf } from "./answers.ts"
import type { Failure } from "./answers.ts"
import { Connection } from "./connection.ts"
import { FidTable } from "./fid-table.ts"
import type { ProxyLimits } from "./limits.ts"
import { Outstanding } from "./outstanding.ts"
import { put } from "./put.ts"
import { finalCodes, Redial } from "./redial.ts"
import { isDelicate, moveOf, repeat } from "./repeat.ts"
import { isSound, Pending, readTypes, tagAt, typeAt } from "./request.ts"
import { restore } from "./restore.ts"
import type { Agreed } from "./restore.ts"
import type { Upstream, UpstreamLink } from "./upstream.ts"

export interface ConversationOptions {
  /** The client's connection, which nobody else listens to; it may be paused. */
  readonly client: ByteLink
  readonly upstream: Upstream
  readonly limits: ProxyLimits
  readonly clock: Clock
  readonly log: Log
  /** Called once. An error tells why it was ended from here. */
  readonly onEnd: (error: RdvError | undefined) => void
}

export type ConversationStatus = {
  readonly state: "away" | "restoring" | "live" | "over"
  readonly fids: number
  readonly requests: number
  /** How often its server was lost. */
  readonly losses: number
}

const t = messageType

export class Conversation {
  readonly #options: ConversationOptions
  readonly #client: ByteLink
  readonly #clientOut: Outbox
  readonly #clientFrames: Frames
  readonly #redial: Redial
  readonly #table: FidTable
  readonly #requests: Outstanding = new Outstanding()
  #phase: ConversationStatus["state"] = "away"
  /** Undefined before the client's Tversion was answered. */
  #agreed: Agreed | undefined
  #connection: Connection | undefined
  /** Requests with the tag of the question to a silent server; they wait until it is answered. */
  #held: Pending[] = []
  #isClientPaused = false
  #losses = 0
  /** The last failed attempt that was logged. */
  #toldRetry: { readonly code: string; readonly at: number } = { code: "", at: 0 }
  #lostAt: number
  #liveAt = 0

  constructor(options: ConversationOptions) {
    const { client, limits, clock, upstream } = options
    this.#options = options
    this.#client = client
    this.#table = new FidTable(limits.journalBytes)
    this.#clientOut = new Outbox(client)
    this.#clientFrames = new Frames(limits.msize, (bytes, start, end) => this.#fromClient(bytes, start, end))
    this.#lostAt = clock.now()
    this.#redial = new Redial({
      upstream,
      clock,
      giveUpMs: limits.giveUpMs,
      onLink: (link) => this.#begin(link),
      onRetry: (error, retryMs) => this.#tellRetry(error, retryMs),
      onGivenUp: (error) => this.#end(error),
    })
    client.onData = (bytes) => this.#hearClient(bytes)
    client.onDrain = () => this.#clientDrained()
    client.onClose = () => this.#end(undefined)
    this.#redial.start()
    client.resume()
  }

  status(): ConversationStatus {
    return {
      state: this.#phase,
      fids: this.#table.size,
      requests: this.#requests.count,
      losses: this.#losses,
    }
  }

  /** Ends both sides. */
  close(): void {
    this.#end(undefined)
  }

  // What the client sends

  #hearClient(bytes: Uint8Array): void {
    if (this.#phase === "over") return
    try {
      this.#clientFrames.push(bytes)
    } catch (thrown) {
      if (!(thrown instanceof NinepProtocolError)) throw thrown
      this.#end(new RdvError("protocol", `The 9P client: ${thrown.message}`))
      return
    }
    this.#goOn()
  }

  #fromClient(bytes: Uint8Array, start: number, end: number): void {
    const type = typeAt(bytes, start)
    const tag = tagAt(bytes, start)
    if (type === t.Tversion) return this.#takeVersion(bytes.slice(start, end))
    if (this.#agreed === undefined) throw new NinepProtocolError("broken", "A request comes before Rversion")
    if (this.#requests.get(tag) !== undefined) throw new NinepProtocolError("broken", `The tag ${tag} is in use`)
    if (type === t.Tflush && end - start !== headerBytes + 2)
      throw new NinepProtocolError("broken", "A Tflush of a wrong size")
    if (type === t.Tflush) return this.#takeFlush(bytes.slice(start, end))
    // What is said through an afid cannot be said again by anybody but the client.
    if (type === t.Tauth) return this.#refuse(tag, failureOf("ENOENT"))
    const own = bytes.slice(start, end)
    let pending: Pending
    try {
      // What upstream cannot read ends every connection that it is sent over, again and again.
      const request = isSound(own) ? undefined : decode(own, this.#dialect, "T")
      pending = new Pending(own, readTypes.has(type) ? request : undefined)
    } catch (thrown) {
      if (!(thrown instanceof NinepProtocolError) || thrown.flaw === "broken") throw thrown
      return this.#refuse(tag, failureOf(thrown.flaw === "text" ? "EINVAL" : "EOPNOTSUPP"))
    }
    if (this.#answer(pending)) return
    const { request } = pending
    const isNew = request?.type === "Tattach" || request?.type === "Twalk" || request?.type === "Txattrwalk"
    if (isNew && this.#table.size >= this.#options.limits.fids) return this.#refuse(tag, failureOf("EMFILE"))
    if (type === t.Tclunk && this.#phase !== "live" && this.#forget(pending)) return
    this.#queue(pending)
  }

  /** Everything before it is void: version(5). */
  #takeVersion(bytes: Uint8Array): void {
    const request = decode(bytes, "9P2000", "T")
    if (request.type !== "Tversion") return
    this.#requests.clear()
    this.#held = []
    this.#table.clear()
    this.#agreed = undefined
    const msize = Math.min(request.msize, this.#options.limits.msize)
    const pending = new Pending(encode({ ...request, msize }, "9P2000"), undefined)
    this.#queue(pending)
    if (this.#phase !== "restoring") return
    this.#connection?.end("abort")
    this.#lost(new RdvError("cancelled", "The client began anew"))
  }

  #takeFlush(bytes: Uint8Array): void {
    const pending = new Pending(bytes, undefined)
    const target = this.#requests.get((bytes[7] as number) | ((bytes[8] as number) << 8))
    if (target === undefined) this.#acknowledge(pending.tag, t.Rflush)
    else if (target.isBusy) (target.flushes ??= []).push(pending.tag)
    else if (target.isSent) {
      pending.target = target
      this.#queue(pending)
    } else {
      this.#requests.remove(target)
      this.#acknowledge(pending.tag, t.Rflush)
    }
  }

  /** Answers what only this side knows the answer to. */
  #answer(pending: Pending): boolean {
    const { type, tag } = pending
    const fid = this.#table.get(pending.fid)
    if (fid === undefined || type === t.Tattach) return false
    const { failure } = fid
    if (failure !== undefined) {
      if (type === t.Tclunk || type === t.Tremove) this.#table.delete(fid.number)
      if (type === t.Tclunk) this.#acknowledge(tag, t.Rclunk)
      else this.#refuse(tag, failure)
      return true
    }
    const { resumption, isSpent } = fid
    if (type !== t.Tread || (resumption === undefined && !isSpent)) return false
    fid.resumption = undefined
    if (pending.offset !== fid.end && !isSpent) return false
    if (resumption === "broken" && pending.offset === fid.end) this.#refuse(tag, failureOf("EIO"))
    else put(this.#clientOut, encode({ type: "Rread", tag, data: new Uint8Array(0) }, this.#dialect))
    return true
  }

  /** A clunk without a server: there is nothing left to clunk, unless the close itself means something. */
  #forget(clunk: Pending): boolean {
    const fid = this.#table.get(clunk.fid)
    if (fid?.failure === undefined && fid?.journal !== undefined && fid.journal.length > 0) return false
    this.#table.delete(clunk.fid)
    this.#requests.remove(clunk)
    this.#acknowledge(clunk.tag, t.Rclunk)
    return true
  }

  #queue(pending: Pending): void {
    this.#requests.add(pending)
    if (pending.tag === this.#connection?.askedTag) this.#held.push(pending)
    else this.#requests.queue(pending)
  }

  /** After bytes of either side. */
  #goOn(): void {
    this.#pump()
    this.#clientOut.flush()
    this.#weigh()
  }

  /** Sends what has to be sent, as far as upstream takes it. */
  #pump(): void {
    const out = this.#connection?.out
    if (this.#phase !== "live" || out === undefined) return
    const { limits } = this.#options
    while (out.queuedBytes < limits.answerBytes) {
      const pending = this.#requests.next()
      if (pending === undefined) break
      pending.isSent = true
      const skew = pending.type === t.Tread ? this.#table.get(pending.fid)?.skew : undefined
      put(out, skew ? withOffset(pending.bytes, Number(pending.offset) - skew) : pending.bytes)
    }
    out.flush()
  }

  // Upstream

  #begin(link: UpstreamLink): void {
    const { limits, clock, upstream } = this.#options
    const connection = new Connection({
      link,
      name: upstream.name,
      limits,
      clock,
      mayGoSilent: upstream.mayGoSilent,
      onAnswer: (bytes, start, end) => this.#fromUpstream(bytes, start, end),
      onHeard: () => this.#goOn(),
      onDrain: () => this.#pump(),
      onLost: (error) => this.#lost(error),
      owes: () => this.#requests.count > 0,
      onSilence: () => this.#ask(),
      onAsked: () => {
        for (const pending of this.#held.splice(0)) this.#requests.queue(pending)
      },
    })
    this.#connection = connection
    connection.start()
    if (this.#agreed === undefined) this.#live()
    else void this.#restore(connection, this.#agreed)
  }

  async #restore(connection: Connection, agreed: Agreed): Promise<void> {
    this.#phase = "restoring"
    const { call } = connection.takeOver(this.#dialect)
    const delicate = this.#requests.all().filter(({ wasSent, request }) => wasSent && isDelicate(request))
    const moves = delicate.flatMap(({ request }) => (request === undefined ? [] : (moveOf(request, this.#table) ?? [])))
    try {
      await restore(call, this.#table, agreed, moves)
      for (const pending of delicate) {
        if (pending.isOver || pending.request === undefined) continue
        pending.isBusy = true
        const answer = await repeat(call, pending.request, this.#table)
        if (this.#connection !== connection) return
        pending.isBusy = false
        this.#settle(pending, encode(answer, this.#dialect))
      }
    } catch (thrown) {
      if (this.#connection !== connection) return
      connection.end("abort")
      const error = asRdvError(thrown)
      if (error.code === "version") this.#end(error)
      else this.#lost(error)
      return
    }
    if (this.#connection !== connection) return
    connection.passOn()
    this.#tellRestored()
    for (const pending of this.#requests.all()) {
      if (pending.type !== t.Tversion && pending.type !== t.Tflush && this.#answer(pending)) this.#remove(pending)
    }
    this.#live()
    this.#clientOut.flush()
  }

  #live(): void {
    this.#phase = "live"
    this.#liveAt = this.#options.clock.now()
    this.#redial.settled()
    this.#toldRetry = { code: "", at: 0 }
    this.#pump()
    this.#weigh()
  }

  #fromUpstream(bytes: Uint8Array, start: number, end: number): void {
    const type = typeAt(bytes, start)
    const pending = this.#requests.get(tagAt(bytes, start))
    // Of before a Tversion, or withdrawn.
    if (pending === undefined || !pending.isSent) return
    if (type !== pending.type + 1 && type !== t.Rlerror && type !== t.Rerror)
      throw new NinepProtocolError("broken", `An answer of type ${type} to a request of type ${pending.type}`)
    if (type === t.Rversion) this.#hearVersion(bytes.slice(start, end))
    else if (pending.target !== undefined) this.#remove(pending.target)
    else this.#table.apply(pending, bytes, start, end)
    this.#remove(pending)
    put(this.#clientOut, bytes, start, end)
  }

  #hearVersion(bytes: Uint8Array): void {
    const answer = decode(bytes, "9P2000", "R")
    if (answer.type !== "Rversion" || answer.version === "unknown") return
    const { version, msize } = answer
    if (version !== "9P2000" && version !== "9P2000.u" && version !== "9P2000.L")
      throw new NinepProtocolError("broken", `The dialect ${version} is not known here`)
    this.#agreed = { version, msize: Math.min(msize, this.#options.limits.msize) }
    this.#table.dialect = version
    this.#table.msize = this.#agreed.msize
    this.#clientFrames.msize = this.#agreed.msize
  }

  /** The connection is gone, or of no use. */
  #lost(error: RdvError): void {
    if (this.#phase === "over") return
    const { clock, log, upstream } = this.#options
    const lastedMs = this.#phase === "live" ? clock.now() - this.#liveAt : 0
    if (this.#phase === "live") {
      this.#losses++
      this.#lostAt = clock.now()
      log.warn("upstream.lost", { upstream: upstream.name, code: error.code, reason: error.message })
    }
    this.#connection = undefined
    this.#held = []
    this.#phase = "away"
    this.#requests.requeue()
    this.#withdraw()
    this.#clientOut.flush()
    this.#weigh()
    if (finalCodes.has(error.code)) this.#end(error)
    else if (lastedMs >= lastingMs) this.#redial.start()
    else this.#redial.start(error)
  }

  /** Nobody is left whom a flush or a clunk would concern. */
  #withdraw(): void {
    for (const pending of this.#requests.all()) {
      if (pending.isOver) continue
      if (pending.target !== undefined) {
        this.#remove(pending.target)
        this.#remove(pending)
        this.#acknowledge(pending.tag, t.Rflush)
      } else if (pending.flushes !== undefined) this.#remove(pending)
      else if (pending.type === t.Tclunk) this.#forget(pending)
    }
  }

  /** Asks a silent server something that it can always answer. */
  #ask(): void {
    if (this.#phase !== "live" || this.#agreed === undefined) return
    const tag = this.#requests.unusedTag(NOTAG)
    this.#connection?.ask(tag, this.#requests.unusedTag(tag))
  }

  // Both

  get #dialect(): Dialect {
    return this.#table.dialect
  }

  /** An answer that was made here step by step. */
  #settle(pending: Pending, bytes: Uint8Array): void {
    if (pending.isOver) return
    this.#table.apply(pending, bytes, 0, bytes.length)
    put(this.#clientOut, bytes)
    this.#remove(pending)
    this.#clientOut.flush()
  }

  #remove(pending: Pending): void {
    this.#requests.remove(pending)
    for (const tag of pending.flushes ?? []) this.#acknowledge(tag, t.Rflush)
    pending.flushes = undefined
  }

  #acknowledge(tag: number, type: number): void {
    put(this.#clientOut, Uint8Array.of(7, 0, 0, 0, type, tag & 0xff, tag >>> 8))
  }

  #refuse(tag: number, failure: Failure): void {
    put(this.#clientOut, errorAnswer(failure, this.#dialect, tag))
  }

  #clientDrained(): void {
    this.#clientOut.drain()
    this.#weigh()
  }

  /** Stops whoever brings more than the other side takes. */
  #weigh(): void {
    if (this.#phase === "over") return
    const { limits } = this.#options
    const { count, bytes } = this.#requests
    const { queuedBytes } = this.#clientOut
    const most = this.#isClientPaused ? 0.75 : 1
    const isMuch =
      count >= limits.requests * most ||
      bytes >= limits.requestBytes * most ||
      // Who takes no answers asks for no more: those that are made here come from nobody who could be stopped.
      queuedBytes >= limits.answerBytes * most
    if (isMuch !== this.#isClientPaused) {
      this.#isClientPaused = isMuch
      if (isMuch) this.#client.pause()
      else this.#client.resume()
    }
    this.#connection?.setPaused(queuedBytes >= limits.answerBytes)
  }

  #tellRestored(): void {
    const { clock, log, upstream } = this.#options
    const failed = [...this.#table.all()].filter(({ failure }) => failure !== undefined).length
    log.info("upstream.restored", {
      upstream: upstream.name,
      awayMs: Math.round(clock.now() - this.#lostAt),
      fids: this.#table.size,
      requests: this.#requests.count,
      ...(failed > 0 && { lostFids: failed }),
    })
  }

  #tellRetry(error: RdvError, retryMs: number): void {
    const { clock, log, upstream } = this.#options
    // An outage of hours is not a line a second.
    if (error.code === this.#toldRetry.code && clock.now() - this.#toldRetry.at < retellMs) return
    this.#toldRetry = { code: error.code, at: clock.now() }
    log.info("upstream.retry", {
      upstream: upstream.name,
      code: error.code,
      reason: error.message,
      retryMs: Math.round(retryMs),
    })
  }

  #end(error: RdvError | undefined): void {
    if (this.#phase === "over") return
    this.#phase = "over"
    this.#redial.stop()
    this.#clientFrames.stop()
    this.#requests.clear()
    this.#table.clear()
    this.#clientOut.flush()
    this.#connection?.end("close")
    this.#connection = undefined
    this.#client.onData = undefined
    this.#client.onClose = undefined
    this.#client.close()
    this.#options.onEnd(error)
  }
}

/** A link that held for so long was a good one, and the next is tried at once, ms. */
const lastingMs = 1_000

/** Between two lines about the same outage, ms. */
const retellMs = 60_000

/** The same with another offset. */
function withOffset(bytes: Uint8Array, offset: number): Uint8Array {
  const copy = bytes.slice()
  putU64(copy, 11, offset)
  return copy
}
