/**
 * A call from one session to a private service of others of the same owner: finds who takes it, and couples the two
 * streams. Where several share the name, a call that one of them refuses or leaves unanswered goes on to the next, as long
 * as nobody has said anything yet.
 */

import type { Clock, Timer } from "../base/clock.ts"
import { asRdvError, RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import type { Stream } from "../base/stream.ts"
import { readPrivateCall } from "../host/private-call.ts"
import type { PrivateCall } from "../host/private-call.ts"
import { couple } from "./coupling.ts"
import type { Offer, PrivateRoutes } from "./private-routes.ts"
import type { Registry } from "./registry.ts"

export interface CallingSession {
  readonly ownerId: string
  /** Where it comes from, for the service. */
  readonly from: string
}

/** Never throws: what cannot be passed on is reset with the reason. */
export function passCall(stream: Stream, caller: CallingSession, { private: routes }: Registry, clock: Clock): void {
  try {
    const call = readPrivateCall(stream.header)
    if (new PassedCall(stream, call, caller, routes, clock).next()) return
    throw new RdvError("no_service", `No session of this owner offers "${call.name}"`)
  } catch (thrown) {
    const { code, message } = asRdvError(thrown)
    stream.reset(code, message)
  }
}

class PassedCall {
  readonly #stream: Stream
  readonly #call: PrivateCall
  readonly #caller: CallingSession
  readonly #routes: PrivateRoutes
  readonly #clock: Clock
  readonly #tried: Set<Offer> = new Set()
  /** For the one who has it now. */
  #patience: Timer | undefined

  constructor(stream: Stream, call: PrivateCall, caller: CallingSession, routes: PrivateRoutes, clock: Clock) {
    this.#stream = stream
    this.#call = call
    this.#caller = caller
    this.#routes = routes
    this.#clock = clock
  }

  /** Passes it to the next one; false when nobody is left. */
  next(): boolean {
    const { name, header } = this.#call
    const { ownerId, from } = this.#caller
    const since = this.#clock.now()
    const offer = this.#routes.next(ownerId, name, this.#tried, since)
    if (offer === undefined) return false
    this.#tried.add(offer)
    const { session, service } = offer.route
    const stream = session.open(service, { from, header })
    offer.calls++
    let isOver = false
    const coupling = couple(this.#stream, stream, ({ error, moved, left }) => {
      isOver = true
      this.#patience?.cancel()
      offer.calls--
      if (error === undefined || moved) return false
      // Callers leave as they like; one who was kept waiting so long did not.
      const failed = left ? this.#clock.now() - since >= patienceMs : othersMayTake.has(error.code)
      if (failed) offer.doubtUntil = this.#clock.now() + doubtMs
      return failed && !left && this.next()
    })
    if (isOver || offer.route.shared !== true) return true
    // A link that is dead and not known to be.
    this.#patience = this.#clock.after(patienceMs, () => {
      if (coupling.moved || !this.#routes.hasReady(ownerId, name, this.#tried, this.#clock.now())) return
      stream.reset("timeout", "It has not answered, and another one is asked")
    })
    return true
  }
}

/** How one refuses what another one may take. A limit of the owner holds for all its sessions. */
const othersMayTake: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unreachable",
  "timeout",
  "no_service",
  "draining",
  "closed",
  "expired",
  "replaced",
])

/** Who failed a call is asked behind the others for so long, ms. */
const doubtMs = 5_000
/** Who has not answered a call after this is as good as gone, ms. */
const patienceMs = 2_000
