/**
 * Asks a target again and again whether it is well. The first answer alone decides, so that a balancer that starts knows
 * within a second what is down; from then on it takes several in a row to change the verdict, because one lost packet is no
 * outage. Intervals vary, so that the checks of many targets, and of many balancers, do not come as one wave.
 */

import type { Duplex } from "node:stream"
import { isDeepStrictEqual } from "node:util"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { HealthSettings } from "../config/settings.ts"
import type { Target } from "../target/target.ts"
import { failureText } from "./failure-text.ts"
import { probe } from "./probe.ts"

/**
 * Dials the target as a client's connection would be, with its TLS and its PROXY header, to `port` instead of its own where
 * given. Rejects when the signal fires; a connection that is there by then is destroyed by its maker or here. Rejects with
 * `limit` when we lack what a connection needs.
 */
export type ProbeConnect = (target: Target, port: number | undefined, signal: AbortSignal) => Promise<Duplex>

export interface CheckerOptions {
  readonly target: Target
  readonly settings: HealthSettings
  readonly clock: Clock
  /** `fraction`: from 0 up to and without 1. */
  readonly random: { fraction(): number }
  readonly connect: ProbeConnect
  /** The first verdict, and each that differs from the one before. The target's fields are set by then. */
  readonly onVerdict: (healthy: boolean, reason: string) => void
}

/** The first check comes within this, ms. */
const firstSpreadMs = 500

/**
 * Of one target, from its making until `stop`. It writes `healthy`, `healthReason`, `totals.checks`, `totals.checkFailures`,
 * and `usableSince` when the target comes back. While the target is disabled it asks nothing.
 */
export class Checker {
  readonly #options: CheckerOptions
  #settings: HealthSettings
  #timer: Timer | undefined
  #running: AbortController | undefined
  /** In a row; the other one is 0. */
  #good = 0
  #bad = 0
  #judged = false
  #stopped = false

  constructor(options: CheckerOptions) {
    this.#options = options
    this.#settings = options.settings
    this.#startSoon()
  }

  /** Takes over changed settings with a check soon; the verdict stays until checks say otherwise. */
  update(settings: HealthSettings): void {
    if (this.#stopped || isDeepStrictEqual(settings, this.#settings)) return
    this.#settings = settings
    this.#running?.abort(new RdvError("cancelled"))
    this.#running = undefined
    this.#startSoon()
  }

  /** A check that runs is given up. The target stays as it was judged. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#running?.abort(new RdvError("cancelled"))
    this.#running = undefined
  }

  #startSoon(): void {
    const { random } = this.#options
    this.#startIn(random.fraction() * Math.min(firstSpreadMs, this.#settings.intervalMs))
  }

  #startIn(ms: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(ms, () => this.#start())
  }

  #start(): void {
    const { clock, target } = this.#options
    const startedAt = clock.now()
    if (target.orders === "disable") {
      this.#next(startedAt)
      return
    }
    const cancel = new AbortController()
    this.#running = cancel
    target.totals.checks++
    const end = (isGood: boolean | undefined, reason: string) => {
      // Another check took its place, or none shall come.
      if (this.#running !== cancel) return
      this.#running = undefined
      if (isGood !== undefined) this.#judge(isGood, reason)
      if (!this.#stopped) this.#next(startedAt)
    }
    this.#ask(cancel).then(
      (found) => end(true, found),
      // What we have too little of says nothing of the target.
      (error: unknown) =>
        end(error instanceof RdvError && error.code === "limit" ? undefined : false, failureText(error)),
    )
  }

  async #ask(cancel: AbortController): Promise<string> {
    const { clock, connect, target } = this.#options
    const { check, port, timeoutMs } = this.#settings
    const { signal } = cancel
    let connection: Duplex | undefined
    let doing = "connect"
    const timer = clock.after(timeoutMs, () =>
      cancel.abort(
        new RdvError("timeout", `no ${doing === "connect" ? "connection" : "answer"} within ${timeoutMs} ms`),
      ),
    )
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true })
    })
    const work = async () => {
      connection = await connect(target, port, signal)
      // What happens after the end is nobody's business, but it must not go unheard.
      connection.on("error", () => {})
      if (signal.aborted) {
        connection.destroy()
        throw signal.reason as Error
      }
      doing = "answer"
      return await probe(check, connection, target)
    }
    try {
      return await Promise.race([work(), aborted])
    } finally {
      timer.cancel()
      connection?.destroy()
    }
  }

  #judge(isGood: boolean, reason: string): void {
    const { clock, onVerdict, target } = this.#options
    const { fall, rise } = this.#settings
    if (isGood) {
      this.#good++
      this.#bad = 0
    } else {
      this.#bad++
      this.#good = 0
      target.totals.checkFailures++
    }
    const before = target.healthy
    const isFirst = !this.#judged
    const healthy = isFirst ? isGood : before ? this.#bad < fall : this.#good >= rise
    // One that is still down in spite of good checks keeps the reason why it went down, and the other way round.
    if (isGood === healthy) target.healthReason = reason
    if (healthy === before && !isFirst) return
    this.#judged = true
    target.healthy = healthy
    if (healthy && !before) target.usableSince = clock.now()
    onVerdict(healthy, reason)
  }

  #next(startedAt: number): void {
    const { clock, random, target } = this.#options
    const { downIntervalMs, intervalMs, jitter } = this.#settings
    const usual = target.healthy ? intervalMs : downIntervalMs
    const varied = usual * (1 + jitter * (2 * random.fraction() - 1))
    // Checks of one target never overlap: a slow one moves the next.
    this.#startIn(Math.max(1, startedAt + varied - clock.now()))
  }
}
