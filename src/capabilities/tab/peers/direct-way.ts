/**
 * The way to one peer: from the first wish for it over attempts, each of them signed talk through the relay and then a
 * connection, to a session that outlives its channels. Nothing of it touches the session to the relay, and whoever wants to
 * send something asks `isReady` and has the relay otherwise.
 */

import { Backoff } from "../../../base/backoff.ts"
import { Bucket } from "../../../base/bucket.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream } from "../../../base/stream.ts"
import type { Link } from "../../../mux/link.ts"
import type { Session } from "../../../mux/session.ts"
import type { SessionOptions, SessionRuntime } from "../../../mux/session-options.ts"
import { dataChannelLink } from "../../../transport/data-channel.ts"
import type { IdentityKey } from "../identity/key-pair.ts"
import { DirectSession } from "./direct-session.ts"
import type { KnownKeys } from "./known-keys.ts"
import { opened } from "./rtc.ts"
import type { RtcConnection, RtcFactory } from "./rtc.ts"
import { SignalTalk } from "./signal-talk.ts"
import * as words from "./signal-words.ts"
import type { SignalParty } from "./signal-words.ts"

export interface DirectWayOptions {
  readonly name: string
  readonly pair: IdentityKey
  /** Undefined while we have none. */
  readonly ownName: () => string | undefined
  /** Opens a stream to the peer through the relay. Throws when there is no way. */
  readonly call: (header: JsonObject) => Stream
  readonly rtc: RtcFactory
  readonly runtime: SessionRuntime
  readonly keys: KnownKeys
  /** The peer with this key has opened a stream. */
  readonly onStream: (stream: Parameters<SessionOptions["onStream"]>[0], key: string) => void
}

/** One try to make a channel. */
interface Attempt {
  readonly isOurs: boolean
  /** Ended from outside: by a better one, or because nobody wants it any more. */
  readonly ended: PromiseWithResolvers<never>
  isOver: boolean
}

export class DirectWay {
  readonly name: string
  readonly #options: DirectWayOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #backoff = new Backoff({ firstMs: firstRetryMs, maxMs: maxRetryMs })
  readonly #calls: Bucket
  readonly #direct: DirectSession
  #key = ""
  #attempt: Attempt | undefined
  #notBefore = 0
  #upAt = 0
  #usedAt: number
  #again: Timer | undefined
  #isClosed = false
  #trouble: RdvError | undefined

  constructor(options: DirectWayOptions) {
    this.name = options.name
    this.#options = options
    const { clock, log } = options.runtime
    this.#clock = clock
    this.#log = log
    this.#usedAt = clock.now()
    this.#calls = new Bucket({ clock, perSecond: callsPerSecond, size: mostCalls })
    this.#direct = new DirectSession({
      runtime: options.runtime,
      onStream: (stream) => {
        this.#usedAt = clock.now()
        options.onStream(stream, this.#key)
      },
      onDown: (error) => this.#down(error),
      onClosed: (error) => this.#closed(error),
    })
  }

  /** Whether new streams go this way. */
  get isReady(): boolean {
    return this.#direct.isReady
  }

  /** ms; undefined: there is no direct way now. */
  get rttMs(): number | undefined {
    return this.isReady ? this.#direct.session?.rttMs() : undefined
  }

  /** Why the last attempt failed. */
  get trouble(): string | undefined {
    return this.isReady ? undefined : this.#trouble?.message
  }

  /** Nothing runs over it, and nothing is being made. */
  get isIdle(): boolean {
    return this.#attempt === undefined && (this.#direct.session?.streamCount ?? 0) === 0
  }

  get hasConnection(): boolean {
    return this.#attempt !== undefined || this.#direct.session !== undefined
  }

  /** When it was wanted or used last. */
  get usedAt(): number {
    return this.#usedAt
  }

  /** For a new stream. Only when it is ready. */
  get session(): Session {
    this.#usedAt = this.#clock.now()
    return this.#direct.session as Session
  }

  /** Somebody would use it: tries to make it, unless that has failed just now. */
  want(): void {
    this.#usedAt = this.#clock.now()
    if (this.#direct.session === undefined) this.#try()
  }

  /** The peer, which has this key by the relay's word, wants to talk about a direct way. */
  serve(stream: Stream, key: string, header: JsonObject): void {
    const own = this.#options.ownName()
    if (this.#isClosed || own === undefined) throw new RdvError("closed", "This server is not public")
    const given = words.readCallHeader(header)
    if (!this.#calls.take(1)) throw new RdvError("rate_limited", "Too many attempts at a direct way")
    // Both have called: one attempt is enough, and both know which.
    if (this.#attempt?.isOurs === true && this.#options.pair.key < key) {
      throw new RdvError("claimed", "An attempt from the other side is under way")
    }
    const me = this.#party(own)
    void this.#run(false, new SignalTalk(stream), async (attempt, talk) => {
      talk.say(words.helloBlock(me))
      await this.#agree(attempt, talk, me, { name: this.name, key, ...given })
    })
  }

  /** For good, with everything that runs over it. */
  close(): void {
    this.#isClosed = true
    this.#again?.cancel()
    this.#cancel()
    this.#direct.close()
  }

  #party(name: string): SignalParty {
    return { name, key: this.#options.pair.key, half: words.newHalf(), session: this.#direct.id }
  }

  #try(): void {
    const own = this.#options.ownName()
    if (this.#isClosed || own === undefined || this.#attempt !== undefined) return
    if (this.#clock.now() < this.#notBefore) return
    const me = this.#party(own)
    let talk: SignalTalk
    try {
      talk = new SignalTalk(this.#options.call(words.callHeader(me)))
    } catch (thrown) {
      this.#failed(asRdvError(thrown))
      return
    }
    void this.#run(true, talk, async (attempt) => {
      const hello = words.readHello(await talk.next())
      if (hello.key === me.key) throw new RdvError("no_service", "This is the same server")
      await this.#agree(attempt, talk, me, { name: this.name, ...hello })
    })
  }

  /** From a talk that has begun to a session on a new channel. */
  async #agree(attempt: Attempt, talk: SignalTalk, me: SignalParty, peer: SignalParty): Promise<void> {
    const { rtc, keys } = this.#options
    // Said when both are described: an answerer that finds its way earlier speaks to one who cannot hear it yet.
    const described = Promise.withResolvers<void>()
    const connection = rtc.connect({
      candidate: (candidate) => void described.promise.then(() => talk.sayCandidate(candidate)),
      failed: (error) => attempt.ended.reject(error),
    })
    // Whoever waits for it hears of it.
    connection.channel.catch(() => undefined)
    attempt.ended.promise.catch(() => connection.close())
    try {
      const description = await this.#describe(connection, talk, me, peer)
      described.resolve()
      talk.takeCandidates((candidate) => connection.add(candidate))
      const channel = await connection.channel
      // Before it is open: the other side may speak at once.
      const link = dataChannelLink(channel, {
        peer: this.name,
        messageBytes: words.messageBytesOf(description),
        clock: this.#clock,
        onOver: () => connection.close(),
      })
      // Whatever ends the attempt ends it, and later whatever ends the connection.
      attempt.ended.promise.catch((thrown: unknown) => link.abort(asRdvError(thrown, "link_lost")))
      await opened(channel, this.#clock, attemptMs)
      // From here on everything is between the two keys.
      await keys.meet(this.name, peer.key)
      await this.#begin(link, me, peer)
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** Resolves with the other side's description, when both are agreed. */
  async #describe(connection: RtcConnection, talk: SignalTalk, me: SignalParty, peer: SignalParty): Promise<string> {
    const say = async (kind: "offer" | "answer", sdp: string) =>
      talk.say(await words.descriptionBlock(this.#options.pair, { kind, sdp, by: me, to: peer }))
    const hear = async (kind: "offer" | "answer") =>
      words.readDescription(await talk.next(), { kind, by: peer, to: me })
    if (me.key < peer.key) {
      await say("offer", await connection.offer())
      const answer = await hear("answer")
      await connection.accept(answer)
      return answer
    }
    const offer = await hear("offer")
    await say("answer", await connection.answer(offer))
    return offer
  }

  async #begin(link: Link, me: SignalParty, peer: SignalParty): Promise<void> {
    const isSame = me.session !== "" && me.session === peer.session && this.#key === peer.key
    this.#key = peer.key
    try {
      if (me.key < peer.key) await this.#direct.dial(link, await words.tokenOf(me, peer), isSame)
      else await this.#direct.accept(link, await words.tokenOf(peer, me), isSame)
    } catch (thrown) {
      link.abort(asRdvError(thrown))
      throw thrown
    }
  }

  async #run(
    isOurs: boolean,
    talk: SignalTalk,
    work: (attempt: Attempt, talk: SignalTalk) => Promise<void>,
  ): Promise<void> {
    this.#cancel()
    const attempt: Attempt = { isOurs, ended: Promise.withResolvers<never>(), isOver: false }
    attempt.ended.promise.catch(() => undefined)
    this.#attempt = attempt
    this.#again?.cancel()
    const late = this.#clock.after(attemptMs, () => {
      attempt.ended.reject(new RdvError("timeout", `No direct way was found within ${attemptMs / 1000} s`))
    })
    try {
      await Promise.race([work(attempt, talk), attempt.ended.promise])
      talk.end()
      if (this.#attempt === attempt) this.#up()
    } catch (thrown) {
      const error = asRdvError(thrown)
      attempt.ended.reject(error)
      talk.reset(error.origin === "remote" ? "cancelled" : error.code, error.message)
      if (this.#attempt === attempt) this.#failed(error)
    } finally {
      late.cancel()
      attempt.isOver = true
      if (this.#attempt === attempt) this.#attempt = undefined
    }
  }

  /** Nobody hears how it goes on. */
  #cancel(): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    if (attempt === undefined) return
    attempt.isOver = true
    attempt.ended.reject(new RdvError("cancelled", "Another attempt took over"))
  }

  #up(): void {
    this.#upAt = this.#clock.now()
    this.#notBefore = 0
    this.#trouble = undefined
    this.#log.info("tab.peer_direct", { name: this.name })
  }

  #failed(error: RdvError): void {
    if (this.#isClosed) return
    this.#trouble = error
    this.#log.debug("tab.peer_not_direct", { name: this.name, code: error.code, reason: error.message })
    // The other one's attempt is under way instead.
    const retryMs = error.code === "claimed" ? 0 : hopeless.has(error.code) ? maxRetryMs : this.#backoff.next()
    this.#notBefore = this.#clock.now() + retryMs
    if (this.#direct.session !== undefined) this.#tryIn(Math.max(retryMs, firstRetryMs))
  }

  /** What runs waits for the next channel: it is made at once, if the last one was any good. */
  #down(error: RdvError): void {
    if (this.#isClosed) return
    this.#log.info("tab.peer_relayed", { name: this.name, code: error.code, reason: error.message })
    if (this.#clock.now() - this.#upAt >= goodMs) this.#backoff.reset()
    else this.#notBefore = this.#clock.now() + this.#backoff.next()
    // Both notice it at about the same time; one attempt is enough.
    const patienceMs = this.#options.pair.key < this.#key ? 0 : otherFirstMs
    this.#tryIn(Math.max(patienceMs, this.#notBefore - this.#clock.now()))
  }

  #closed(error: RdvError | undefined): void {
    if (this.#isClosed || error === undefined) return
    this.#log.info("tab.peer_relayed", { name: this.name, code: error.code, reason: error.message })
  }

  #tryIn(ms: number): void {
    this.#again?.cancel()
    // Who waits for an answer has the grace time and no more.
    const isAwaited = (this.#direct.session?.streamCount ?? 0) > 0
    this.#again = this.#clock.after(isAwaited ? Math.min(ms, awaitedMs) : ms, () => {
      this.#notBefore = 0
      if (this.#direct.session?.state === "suspended") this.#try()
    })
  }
}

/** The peer cannot or does not want to: it is asked again much later. */
const hopeless: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["no_service", "version", "forbidden"])

const firstRetryMs = 1_000
const maxRetryMs = 5 * 60_000
/** From the first word to the session. */
const attemptMs = 15_000
/** A channel that lived so long was no mistake. */
const goodMs = 10_000
const otherFirstMs = 1_500
/** Between attempts while streams wait for one. */
const awaitedMs = 2_000
/** Attempts that a peer may begin. */
const callsPerSecond = 0.5
const mostCalls = 10
