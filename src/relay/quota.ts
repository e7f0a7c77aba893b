/**
 * What one owner may use: all sessions of a token share one quota. It opens the streams of their routes, so that nobody
 * who brings a visitor can forget to ask; a visitor over a limit gets a stream that is closed already, with the reason.
 */

import { Bucket } from "../base/bucket.ts"
import type { Clock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream, StreamSink } from "../base/stream.ts"
import type { TokenLimits } from "../store/token-scopes.ts"
import type { RelayLimits } from "./limits.ts"
import { Pace } from "./pace.ts"
import { PacedStream } from "./paced-stream.ts"

/** Of a session, what its quota needs. */
export interface QuotaSession {
  readonly streamCount: number
  open(service: string, header: JsonObject): Stream
}

export interface QuotaLimits {
  readonly sessions: number
  readonly visitors: number
  /** None when it is undefined, as for the next. */
  readonly requestsPerSecond: number | undefined
  readonly bytesPerSecond: number | undefined
}

export class Quota {
  /** In force: the token's own, and at most the relay's. */
  readonly limits: QuotaLimits
  readonly sessions: Set<QuotaSession> = new Set()
  /** Visitors that were turned away. */
  refused = 0
  readonly #requests: Bucket | undefined
  readonly #pace: Pace | undefined
  /** So many visitors may come before somebody has to count again. */
  #room = 0

  constructor(clock: Clock, relay: RelayLimits, own: TokenLimits = {}) {
    const { requestsPerSecond, bytesPerSecond } = own
    this.limits = {
      sessions: Math.min(relay.sessionsPerOwner, own.sessions ?? Infinity),
      visitors: Math.min(relay.visitorsPerOwner, own.visitors ?? Infinity),
      requestsPerSecond,
      bytesPerSecond,
    }
    if (requestsPerSecond !== undefined) this.#requests = new Bucket({ clock, perSecond: requestsPerSecond })
    if (bytesPerSecond !== undefined) this.#pace = new Pace(clock, bytesPerSecond)
  }

  /** It outlives its sessions: who leaves and returns finds the rates as they were. */
  get remembers(): boolean {
    return this.#requests !== undefined || this.#pace !== undefined
  }

  /** Requests under way and TCP connections, over all sessions. */
  get visitors(): number {
    let streams = 0
    // One is the session's control stream.
    for (const { streamCount } of this.sessions) streams += Math.max(0, streamCount - 1)
    return streams
  }

  status(): JsonObject {
    const { sessions, visitors, requestsPerSecond = null, bytesPerSecond = null } = this.limits
    return {
      sessions: this.sessions.size,
      visitors: this.visitors,
      refused: this.refused,
      limits: { sessions, visitors, requestsPerSecond, bytesPerSecond },
    }
  }

  /** For one visitor; never throws for a limit. */
  open(session: QuotaSession, service: string, header: JsonObject): Stream {
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      this.refused++
      return new RefusedStream(service, header, refusal)
    }
    const stream = session.open(service, header)
    return this.#pace === undefined ? stream : new PacedStream(stream, this.#pace)
  }

  #refusal(): RdvError | undefined {
    if (this.#room === 0) {
      // Who leaves makes more room than was counted, nobody makes less.
      this.#room = Math.max(0, this.limits.visitors - this.visitors)
      if (this.#room === 0) return new RdvError("limit", `it takes ${this.limits.visitors} visitors at a time`)
    }
    // Heads are counted and do not wait: without a bound they would keep everybody from being served long after they came.
    if (this.#pace !== undefined && this.#pace.debtMs > mostDebtMs) {
      return new RdvError("rate_limited", `this address takes ${this.limits.bytesPerSecond} bytes a second`)
    }
    if (this.#requests?.take(1) === false) {
      return new RdvError("rate_limited", `this address takes ${this.#requests.perSecond} requests a second`)
    }
    this.#room--
    return undefined
  }
}

/** Who comes now would be kept waiting for longer than visitors wait, ms. */
const mostDebtMs = 30_000

class RefusedStream implements Stream {
  readonly id = 0
  readonly service: string
  readonly header: JsonObject
  readonly #error: RdvError

  constructor(service: string, header: JsonObject, error: RdvError) {
    this.service = service
    this.header = header
    this.#error = error
  }

  attach(sink: StreamSink): void {
    sink.closed(this.#error)
  }

  write(): boolean {
    return true
  }

  meta(): boolean {
    return true
  }

  end(): void {
    // Nobody hears it.
  }

  reset(): void {
    // It is over.
  }

  consumed(): void {
    // There was nothing.
  }
}
