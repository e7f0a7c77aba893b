/**
 * The `share` stream to the relay, as something that is always there: when it ends, another one is opened, and the member
 * says again what it has. Messages that were said to an old stream are void: each opening begins with the whole truth.
 */

import { Backoff } from "../../../base/backoff.ts"
import { delay } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream } from "../../../base/stream.ts"
import { largestTableBytes } from "../content/chunk-table.ts"
import { shareService } from "../protocol/control.ts"
import type { MemberMessage, RelayMessage, ShareHeader, TableFacts } from "../protocol/control.ts"
import { readRelayMessage } from "../protocol/read-control.ts"
import type { RelayAccess } from "./relay-access.ts"

export interface RelayLineOptions {
  readonly access: RelayAccess
  readonly clock: Clock
  readonly log: Log
  /** A number in [0, 1), for the pauses between attempts. */
  readonly random?: () => number
  /** What a new stream begins with: its header, and the table that a publisher has. */
  readonly opening: () => RelayOpening
  /** It was refused for good: true when the next opening is another one, which is tried at once. */
  readonly amend?: ((error: RdvError) => boolean) | undefined
  readonly events: RelayLineEvents
}

export interface RelayOpening {
  readonly header: ShareHeader
  readonly table?: Uint8Array
}

export interface RelayLineEvents {
  message(message: RelayMessage): void
  table(facts: TableFacts, bytes: Uint8Array): void
  /** It may take more now. */
  clear(): void
  /** It is gone; another one is opened, unless `ended` follows. */
  down(error: RdvError): void
  /** There will be no other one. Without an error the relay ended it in good order. */
  ended(error: RdvError | undefined): void
}

export class RelayLine {
  readonly #options: RelayLineOptions
  readonly #stop = new AbortController()
  readonly #backoff: Backoff
  #current: Current | undefined
  /** It was welcomed once: the code is right, and what the relay has forgotten may come back. */
  #wasIn = false
  /** Since when it has said nothing else, ms. */
  #forgottenAt: number | undefined
  /** There will be no session any more. */
  #isHopeless = false
  #running: Promise<void> | undefined

  constructor(options: RelayLineOptions) {
    this.#options = options
    this.#backoff = new Backoff({
      firstMs: 400,
      maxMs: 10_000,
      ...(options.random !== undefined && { random: options.random }),
    })
  }

  /** True when the relay has welcomed this stream. */
  get isUp(): boolean {
    return this.#current?.isWelcome === true
  }

  /** False while what was said waits: batches hold back. */
  get isClear(): boolean {
    return this.#current?.isClear === true
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ignored while the line is not up: the next welcome is followed by everything. */
  say(message: MemberMessage): void {
    if (this.isUp) this.#current?.say(message)
  }

  /** The bytes of a table, behind the message that announces it. */
  sayTable(bytes: Uint8Array): void {
    if (this.isUp) this.#current?.sayTable(bytes)
  }

  /** Ends the stream in good order; resolves when it has ended, or after two seconds. */
  async stop(): Promise<void> {
    const current = this.#current
    if (current !== undefined) {
      current.end()
      await Promise.race([
        current.over,
        delay(this.#options.clock, goodbyeMs, this.#stop.signal).catch(() => undefined),
      ])
    }
    this.#stop.abort(new RdvError("closed"))
    current?.cut()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, events, log } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      const { error, wasUp } = await this.#once(signal)
      if (signal.aborted) return
      if (error !== undefined && !wasUp && this.#options.amend?.(error) === true) continue
      if (error === undefined || this.#isHopeless || !this.#passes(error, wasUp) || this.#isForgotten(error, wasUp)) {
        events.ended(error)
        return
      }
      log.info("share.line.lost", { code: error.code, reason: error.message })
      events.down(error)
      await delay(clock, this.#backoff.next(), signal).catch(() => undefined)
    }
  }

  /** A relay that was there all the time has said for long that it does not know the share, or has no place in it. */
  #isForgotten({ code }: RdvError, wasUp: boolean): boolean {
    const now = this.#options.clock.now()
    if (wasUp || !unlessKnown.has(code)) this.#forgottenAt = undefined
    else this.#forgottenAt ??= now
    return now - (this.#forgottenAt ?? now) >= mostForgottenMs
  }

  /** One stream from its opening to its end; what `open` rejects with stays so, but for a session that is leaving. */
  async #once(signal: AbortSignal): Promise<{ readonly error: RdvError | undefined; readonly wasUp: boolean }> {
    const { access, opening, events, clock } = this.#options
    let welcomedAt: number | undefined
    let stream: Stream
    let table: Uint8Array | undefined
    try {
      const begun = opening()
      table = begun.table
      stream = await access.open(shareService, begun.header as unknown as JsonObject, signal)
    } catch (error) {
      const reason = asRdvError(error)
      // A relay that was started anew may not know yet whom it lets in: the sender has to be back first.
      const mayPass = passing.has(reason.code) || (this.#wasIn && unlessKnown.has(reason.code))
      if (!mayPass) this.#isHopeless = true
      return { error: reason, wasUp: false }
    }
    if (signal.aborted) {
      stream.reset("cancelled")
      return { error: undefined, wasUp: false }
    }
    const current = new Current(stream, {
      message: (message) => {
        if (message.do === "welcome") {
          current.isWelcome = true
          this.#wasIn = true
          welcomedAt = clock.now()
        }
        events.message(message)
      },
      table: (facts, bytes) => events.table(facts, bytes),
      clear: () => events.clear(),
    })
    this.#current = current
    if (table !== undefined) current.sayTable(table)
    const error = await current.over
    this.#current = undefined
    // One that ends a stream soon after its welcome would hear from all members several times a second.
    if (welcomedAt !== undefined && clock.now() - welcomedAt >= steadyMs) this.#backoff.reset()
    return { error, wasUp: current.isWelcome }
  }

  /** Whether another attempt makes sense. `wasUp`: this stream had been welcomed. */
  #passes({ code, origin }: RdvError, wasUp: boolean): boolean {
    if (final.has(code)) return false
    // Of a session, which ends here, it passes; of a share, which the relay says, it does not.
    if (code === "expired") return wasUp || origin === "local"
    // A relay that was started anew knows the swarm when its sender is back; one that is full has room when others leave.
    return wasUp || this.#wasIn || !unlessKnown.has(code)
  }
}

/** A sender that comes back to a relay without its shares does so within this, ms. */
const mostForgottenMs = 900_000
/** A line that held for so long was a good one, ms. */
const steadyMs = 5_000

interface CurrentEvents {
  message(message: RelayMessage): void
  table(facts: TableFacts, bytes: Uint8Array): void
  clear(): void
}

/** One stream: messages out in order, tables in one piece. */
class Current {
  isWelcome = false
  readonly over: Promise<RdvError | undefined>
  readonly #stream: Stream
  readonly #events: CurrentEvents
  readonly #waiting: Fifo<MemberMessage | Uint8Array> = new Fifo()
  #isFull = false
  #incoming: { readonly facts: TableFacts; readonly bytes: Uint8Array; at: number } | undefined
  #settle: (error: RdvError | undefined) => void = () => undefined
  #isEnding = false
  #isOver = false
  /** What went wrong here, which the stream's own end does not know. */
  #fault: RdvError | undefined

  constructor(stream: Stream, events: CurrentEvents) {
    this.#stream = stream
    this.#events = events
    this.over = new Promise((resolve) => (this.#settle = resolve))
    stream.attach({
      data: (chunk) => this.#data(chunk),
      meta: (block) => this.#meta(block),
      end: () => stream.end(),
      drain: () => this.#drain(),
      closed: (error) => {
        this.#isOver = true
        this.#settle(this.#fault ?? error)
      },
    })
  }

  get isClear(): boolean {
    return !this.#isFull && this.#waiting.length === 0
  }

  say(message: MemberMessage): void {
    this.#waiting.push(message)
    this.#flush()
  }

  sayTable(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += sliceBytes) this.#waiting.push(bytes.subarray(at, at + sliceBytes))
    this.#flush()
  }

  /** Behind what waits. */
  end(): void {
    this.#isEnding = true
    this.#flush()
  }

  cut(): void {
    if (!this.#isOver) this.#stream.reset("cancelled")
  }

  #flush(): void {
    while (!this.#isFull) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      const more =
        next instanceof Uint8Array ? this.#stream.write(next) : this.#stream.meta(next as unknown as JsonObject)
      if (!more) this.#isFull = true
    }
    if (this.#isEnding && this.#waiting.length === 0) this.#stream.end()
  }

  #drain(): void {
    this.#isFull = false
    this.#flush()
    if (this.isClear) this.#events.clear()
  }

  #data(chunk: Uint8Array): void {
    const incoming = this.#incoming
    if (incoming === undefined || incoming.at + chunk.length > incoming.bytes.length) {
      this.#break("The relay sent bytes that belong to no table")
      return
    }
    incoming.bytes.set(chunk, incoming.at)
    incoming.at += chunk.length
    this.#stream.consumed(chunk.length)
    if (incoming.at < incoming.bytes.length) return
    this.#incoming = undefined
    this.#events.table(incoming.facts, incoming.bytes)
  }

  #meta(block: JsonObject): void {
    let message: RelayMessage
    try {
      message = readRelayMessage(block)
    } catch (error) {
      this.#break(asRdvError(error, "protocol").message)
      return
    }
    if (this.#incoming !== undefined) {
      this.#break("The relay began something else within a table")
      return
    }
    if (message.do !== "table") {
      this.#events.message(message)
      return
    }
    if (message.table.bytes === 0 || message.table.bytes > largestTableBytes) {
      this.#break(`The relay announced a table of ${message.table.bytes} bytes`)
      return
    }
    this.#incoming = { facts: message.table, bytes: new Uint8Array(message.table.bytes), at: 0 }
  }

  #break(reason: string): void {
    this.#fault ??= new RdvError("protocol", reason, { origin: "remote" })
    this.#stream.reset("protocol", reason)
  }
}

/** The same answer would come again. */
const final: ReadonlySet<string> = new Set([
  "unauthorized",
  "forbidden",
  "removed",
  "claimed",
  "in_use",
  "exists",
  "version",
  "usage",
  "too_large",
  "replaced",
])
const unlessKnown: ReadonlySet<string> = new Set(["not_found", "no_service", "unknown_session", "limit"])
/** A session says so that is about to end: the next one may take us. */
const passing: ReadonlySet<string> = new Set(["draining", "limit", "link_lost", "connection_reset", "expired"])
const goodbyeMs = 2_000
const sliceBytes = 64 * 1024
