/**
 * Cuts a target off while too many of its dials fail, however mixed with good ones, and keeps dials from piling up at one
 * that is slow to take them. Open, it gets nothing; after a while it is half-open: one dial tries it out, and what becomes
 * of it decides. Consecutive failures are the outlier guard's matter.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { BreakerSettings } from "../config/settings.ts"
import type { Target } from "../target/target.ts"
import { SlidingCount } from "./sliding-count.ts"

export interface BreakerOptions {
  readonly settings: () => BreakerSettings
  readonly clock: Clock
  /** `trying`: the one dial is under way; `retrying`: its result is unknown, and the next dial may try. */
  readonly onChange: (target: Target, event: "opened" | "half-open" | "trying" | "retrying" | "closed") => void
}

/** `unknown`: it was given up for a reason that is not the target's, such as a client that left. */
export type DialResult = "good" | "failed" | "unknown"

/** Stands for the state in which a dial began; its result counts only as long as that state lasts. */
export type BreakerTicket = number & { readonly breakerTicket: unique symbol }

interface Circuit {
  readonly dials: SlidingCount
  state: "closed" | "open" | "half-open" | "trying"
  ticket: BreakerTicket
  timer: Timer | undefined
}

/** Of one app. It writes `open`, and `usableSince` when it closes. */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #circuits = new Map<Target, Circuit>()

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  /** False: so many dials are under way there that another one has to go elsewhere. */
  admits(target: Target): boolean {
    const { maxPending } = this.#options.settings()
    return maxPending === undefined || target.pending < maxPending
  }

  /** A dial begins. `ended` takes the ticket. Costs nothing while no failure rate is set. */
  began(target: Target): BreakerTicket {
    const circuit = this.#circuits.get(target)
    if (circuit === undefined) return fresh
    if (circuit.state === "half-open") {
      this.#turn(target, circuit, "trying", true)
      this.#options.onChange(target, "trying")
    }
    return circuit.ticket
  }

  /** To be called once for each `began`. */
  ended(target: Target, ticket: BreakerTicket, result: DialResult): void {
    const settings = this.#options.settings()
    if (settings.failureRate === undefined) {
      this.forget(target)
      return
    }
    let circuit = this.#circuits.get(target)
    if (circuit === undefined) {
      if (target.removed || ticket !== fresh) return
      const dials = new SlidingCount(this.#options.clock, settings.windowMs)
      circuit = { dials, state: "closed", ticket: fresh, timer: undefined }
      this.#circuits.set(target, circuit)
    }
    if (ticket !== circuit.ticket) return
    switch (circuit.state) {
      case "closed":
        if (result !== "unknown") this.#count(target, circuit, settings, result)
        return
      case "trying":
        if (result === "good") this.#close(target, circuit)
        else if (result === "failed") this.#open(target, circuit, settings)
        else {
          this.#turn(target, circuit, "half-open", false)
          this.#options.onChange(target, "retrying")
        }
        return
      case "open":
      case "half-open":
        // In a panic open targets are dialled too; a failure there is no news.
        if (result === "good") this.#close(target, circuit)
    }
  }

  /** The target is gone, or all is forgiven. */
  forget(target: Target): void {
    const circuit = this.#circuits.get(target)
    if (circuit === undefined) return
    circuit.timer?.cancel()
    this.#circuits.delete(target)
    if (!target.open && circuit.state === "closed") return
    target.open = false
    this.#options.onChange(target, "closed")
  }

  stop(): void {
    for (const [target, { timer }] of this.#circuits) {
      timer?.cancel()
      target.open = false
    }
    this.#circuits.clear()
  }

  #count(target: Target, circuit: Circuit, settings: BreakerSettings, result: "good" | "failed"): void {
    const { dials } = circuit
    dials.windowMs = settings.windowMs
    dials.addToAll()
    if (result === "good") return
    dials.addToSome()
    const rate = settings.failureRate ?? Infinity
    if (dials.all >= settings.minDials && dials.some >= rate * dials.all) this.#open(target, circuit, settings)
  }

  #open(target: Target, circuit: Circuit, { openMs }: BreakerSettings): void {
    this.#turn(target, circuit, "open", true)
    circuit.timer = this.#options.clock.after(openMs, () => {
      this.#turn(target, circuit, "half-open", false)
      this.#options.onChange(target, "half-open")
    })
    this.#options.onChange(target, "opened")
  }

  #close(target: Target, circuit: Circuit): void {
    this.#turn(target, circuit, "closed", false)
    circuit.dials.clear()
    target.usableSince = this.#options.clock.now()
    this.#options.onChange(target, "closed")
  }

  #turn(target: Target, circuit: Circuit, state: Circuit["state"], open: boolean): void {
    circuit.timer?.cancel()
    circuit.timer = undefined
    circuit.state = state
    circuit.ticket = (circuit.ticket + 1) as BreakerTicket
    target.open = open
  }
}

const fresh = 0 as BreakerTicket
