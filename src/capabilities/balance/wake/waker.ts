/**
 * Scale to zero: what a target needs is started when somebody comes, and stopped when nobody was there for a while.
 *
 *              ready()             answers
 *     asleep ──────────▶ starting ─────────▶ ready ──┐ ended by itself: asleep, or failed when that repeats
 *       ▲ ▲                 │                  │     │
 *       │ │ back-off over   │ failed, late     │ idle
 *       │ └───── failed ◀───┴──────▶ stopping ◀┘
 *       └────────────────────────────────┘
 *
 * Whoever calls `ready` while it starts waits for the same start; while a start that failed backs off, all are refused at
 * once. One task is under way at a time, and everything that it holds ends with `stop`.
 */

import { Backoff } from "../../../base/backoff.ts"
import { delay } from "../../../base/clock.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError, asRdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { WakeSettings } from "../config/settings.ts"
import type { Target } from "../target/target.ts"
import { IdleWatch } from "./idle-watch.ts"
import { makeMachine } from "./machine.ts"
import type { Machine, MakeMachine } from "./machine.ts"
import { probeDirectly } from "./readiness.ts"
import type { Probe } from "./readiness.ts"

export type WakeState = "asleep" | "starting" | "ready" | "stopping" | "failed"

export interface WakerOptions {
  readonly target: Target
  readonly settings: WakeSettings
  readonly clock: Clock
  readonly log: Log
  /** A number in [0, 1), for the back-off. Default `Math.random`. */
  readonly random?: () => number
  /** Default: connections of our own to the target's address, which must not be `rdv:`. */
  readonly probe?: Probe
  readonly onState?: (state: WakeState) => void
  /** For tests; default: what the settings say. */
  readonly make?: MakeMachine
}

/** How long we look whether it runs already, before we start it, ms. */
const lookMs = 250
/** Between two looks while it starts: at first and at most, ms. */
const firstLookMs = 5
const mostLookMs = 250
/** One look may take so long, ms: a server that boots may take a connection and forget it. */
const oneLookMs = 5_000
/** It did not crash at its start when it lived so long, ms. */
const provenMs = 10_000
const backoffMs = { firstMs: 500, maxMs: 60_000 }

/** What connections need of it. */
export type Wakes = Pick<Waker, "state" | "watched" | "ready" | "busy" | "idle" | "refused" | "update" | "stop">

export class Waker {
  readonly #options: WakerOptions
  readonly #probe: Probe
  readonly #log: Log
  readonly #backoff: Backoff
  readonly #waiters: Set<Waiter> = new Set()
  /** On while it is ready. */
  readonly #watch: IdleWatch
  #settings: WakeSettings
  #state: WakeState = "asleep"
  /** What was started; undefined while it is ready: somebody else runs it. */
  #machine: Machine | undefined
  /** The start under way. */
  #attempt: AbortController | undefined
  /** The start or stop under way; never rejects. */
  #task: Promise<void> = Promise.resolve()
  /** Why it was not ready yet when we looked. */
  #lastLook = ""
  #readyAt = 0
  /** Early deaths in a row. */
  #crashes = 0
  /** Why it failed, and when it may be tried again. */
  #failure: { readonly error: RdvError; readonly until: number } | undefined
  #retry: Timer | undefined
  #isEnding = false

  constructor(options: WakerOptions) {
    this.#options = options
    this.#settings = options.settings
    this.#probe = options.probe ?? probeDirectly(options.target.settings.address)
    this.#watch = new IdleWatch(
      options.clock,
      () => this.#settings.idleMs,
      () => this.#letGo(),
    )
    this.#log = options.log.with({ target: options.target.name })
    this.#backoff = new Backoff({ ...backoffMs, ...(options.random !== undefined && { random: options.random }) })
  }

  get state(): WakeState {
    return this.#state
  }

  /** We hear of its end ourselves. */
  get watched(): boolean {
    return this.#machine?.watched === true
  }

  /** Those who wait for it now. */
  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * Resolves when the target can be dialled; starts it when it sleeps. Rejects with `unreachable` when it could not be
   * started or backs off, `timeout` when it was not ready in time, `limit` when too many wait, `closed` after `stop`, and
   * with the signal's reason.
   */
  ready(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    if (this.#isEnding) return Promise.reject(new RdvError("closed", `${this.#name} is not started any more`))
    if (this.#state === "ready") {
      this.#watch.promise(1)
      return Promise.resolve()
    }
    if (this.#failure !== undefined) return Promise.reject(this.#refusal(this.#failure))
    if (this.#waiters.size >= this.#settings.queue) {
      const text = `${this.#name} is being started, and ${this.#waiters.size} connections wait for it already`
      return Promise.reject(new RdvError("limit", text, { mend: "raise queue of its wake settings" }))
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter)
        reject(signal.reason as Error)
      }
      const waiter: Waiter = { resolve, reject, forget: () => signal.removeEventListener("abort", leave) }
      signal.addEventListener("abort", leave, { once: true })
      this.#waiters.add(waiter)
      if (this.#state === "asleep") this.#begin()
    })
  }

  /** A connection to it was joined to a client. */
  busy(): void {
    this.#watch.came()
  }

  /** That connection is over. */
  idle(): void {
    this.#watch.left()
  }

  /**
   * A dial was refused although it was ready. What we do not see ourselves (a machine elsewhere, a process that somebody
   * else runs) counts as asleep then, so that the next `ready` looks again and starts it.
   */
  refused(): void {
    if (this.#state !== "ready" || this.watched) return
    this.#log.warn("wake.lost", { reason: "it was ready, and refuses connections" })
    this.#sleep()
  }

  /** Holds from now on; commands and environment from the next start on. */
  update(settings: WakeSettings): void {
    this.#settings = settings
    this.#watch.restart()
  }

  /** Refuses all who wait, and ends what was started. Calling again joins the same end. */
  async stop(): Promise<void> {
    if (!this.#isEnding) {
      this.#isEnding = true
      const error = new RdvError("closed", `${this.#name} is not started any more: the balancer stops`)
      this.#refuseAll(error)
      this.#attempt?.abort(error)
      if (this.#state === "ready") this.#halt()
      this.#retry?.cancel()
    }
    await this.#task
  }

  get #name(): string {
    return this.#options.target.name
  }

  #set(state: WakeState): void {
    if (this.#state === state) return
    this.#state = state
    this.#options.onState?.(state)
  }

  #begin(): void {
    this.#set("starting")
    this.#task = this.#start()
  }

  async #start(): Promise<void> {
    const { clock } = this.#options
    const { timeoutMs } = this.#settings
    const attempt = new AbortController()
    this.#attempt = attempt
    this.#lastLook = "its start was not over"
    const late = () => {
      const text = `${this.#name} was not ready within ${timeoutMs} ms: ${this.#lastLook}`
      attempt.abort(new RdvError("timeout", text))
    }
    const timer = clock.after(timeoutMs, late)
    const startedAt = clock.now()
    try {
      const runs = await this.#answersNow(attempt.signal)
      attempt.signal.throwIfAborted()
      if (runs && this.#settings.how.kind === "process") this.#log.info("wake.found", { ms: clock.now() - startedAt })
      else await this.#startMachine(runs, attempt)
      // What aborts it may come between its last step and this one.
      attempt.signal.throwIfAborted()
      this.#readyAt = clock.now()
      if (!runs) this.#log.info("wake.ready", { ms: this.#readyAt - startedAt })
      this.#set("ready")
      this.#watch.start()
      this.#watch.promise(this.#waiters.size)
      for (const waiter of this.#waiters) settle(waiter)
      this.#waiters.clear()
      timer.cancel()
      this.#attempt = undefined
    } catch (error) {
      timer.cancel()
      this.#attempt = undefined
      await this.#fail(attempt.signal.aborted ? attempt.signal.reason : error)
    }
  }

  /** `runs`: what commands or hooks control answers already, so only its stop will be needed. */
  async #startMachine(runs: boolean, attempt: AbortController): Promise<void> {
    const { clock, target } = this.#options
    const make = this.#options.make ?? makeMachine
    const machine = make({
      target: target.name,
      settings: this.#settings,
      clock,
      log: this.#log,
      onEnd: (reason) => {
        if (this.#machine !== machine) return
        if (this.#attempt === attempt) attempt.abort(new RdvError("unreachable", reason))
        else this.#died(reason)
      },
    })
    this.#machine = machine
    if (runs) return
    target.totals.wakes++
    this.#log.info("wake.starting", { how: this.#settings.how.kind })
    await machine.start(attempt.signal)
    await this.#untilAnswers(attempt.signal)
  }

  /** A look before the start; what does not answer at once does not run. */
  async #answersNow(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#look(signal, lookMs)
      return true
    } catch {
      return false
    }
  }

  async #untilAnswers(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    for (let waitMs = firstLookMs; ; waitMs = Math.min(mostLookMs, waitMs * 1.25)) {
      try {
        await this.#look(signal, oneLookMs)
        signal.throwIfAborted()
        return
      } catch (error) {
        signal.throwIfAborted()
        // An error of several addresses has a code alone.
        this.#lastLook = (error as Error).message || String((error as NodeJS.ErrnoException).code)
        this.#log.debug("wake.not_ready", { reason: this.#lastLook })
      }
      await delay(clock, waitMs, signal)
    }
  }

  async #look(signal: AbortSignal, mostMs: number): Promise<void> {
    const patience = new AbortController()
    const giveUp = () => patience.abort(signal.aborted ? signal.reason : new RdvError("timeout", "no answer"))
    const timer = this.#options.clock.after(mostMs, giveUp)
    signal.addEventListener("abort", giveUp, { once: true })
    try {
      await this.#probe(this.#settings.ready, patience.signal)
    } finally {
      timer.cancel()
      signal.removeEventListener("abort", giveUp)
    }
  }

  /** The start failed: callers hear of it at once, then what is left of it is ended. */
  async #fail(cause: unknown): Promise<void> {
    const error = this.#isEnding ? asRdvError(cause, "closed") : this.#startError(asRdvError(cause, "unreachable"))
    if (!this.#isEnding) {
      this.#log.warn("wake.failed", { reason: error.message })
      this.#backOff(error, this.#backoff.next())
      this.#refuseAll(error)
    }
    await this.#end()
    this.#rest()
  }

  #startError(cause: RdvError): RdvError {
    if (cause.code === "timeout") return cause
    return new RdvError("unreachable", `${this.#name} could not be started: ${cause.message}`, { cause })
  }

  /** It was ready, and ended by itself. */
  #died(reason: string): void {
    const { clock } = this.#options
    const livedMs = clock.now() - this.#readyAt
    this.#log.warn("wake.ended", { reason, livedMs })
    this.#machine = undefined
    this.#crashes = livedMs >= provenMs ? 0 : this.#crashes + 1
    if (livedMs >= provenMs) this.#backoff.reset()
    // Once is an accident, and the next connection starts it again; more is a loop.
    if (this.#crashes > 1) {
      const text = `${this.#name} ended ${this.#crashes} times soon after its start: ${reason}`
      this.#backOff(new RdvError("unreachable", text), this.#backoff.next())
    }
    this.#watch.stop()
    this.#rest()
  }

  #backOff(error: RdvError, ms: number): void {
    const { clock } = this.#options
    this.#failure = { error, until: clock.now() + ms }
    this.#retry = clock.after(ms, () => {
      this.#failure = undefined
      if (this.#state === "failed") this.#set("asleep")
    })
  }

  #refusal({ error, until }: { readonly error: RdvError; readonly until: number }): RdvError {
    const seconds = Math.max(1, Math.ceil((until - this.#options.clock.now()) / 1000))
    return new RdvError("unreachable", `${error.message}; it is not tried again for ${seconds} s`, { cause: error })
  }

  /** Nothing runs: asleep, or failed until it may be tried again; or at once for those who came meanwhile. */
  #rest(): void {
    this.#set(this.#failure === undefined ? "asleep" : "failed")
    if (this.#waiters.size > 0 && this.#failure === undefined && !this.#isEnding) this.#begin()
  }

  #halt(): void {
    this.#set("stopping")
    this.#watch.stop()
    this.#task = this.#end().then(() => this.#rest())
  }

  /** Ends what we have started; what somebody else runs stays. */
  async #end(): Promise<void> {
    const machine = this.#machine
    if (machine === undefined) return
    this.#set("stopping")
    await machine.stop()
    this.#machine = undefined
    if (!machine.watched) await this.#untilSilent()
    this.#log.info("wake.stopped")
  }

  /** A stop that was only asked for takes a while; until then nobody may be sent there. */
  async #untilSilent(): Promise<void> {
    const { clock } = this.#options
    if (this.#isEnding) return
    const until = clock.now() + this.#settings.stopMs
    while (clock.now() < until && (await this.#answersNow(neverAborted)) && !this.#isEnding)
      await delay(clock, mostLookMs)
  }

  /** Nobody was there for so long. */
  #letGo(): void {
    // It has proven itself.
    this.#crashes = 0
    this.#backoff.reset()
    if (this.#machine === undefined) this.#sleep()
    else this.#halt()
  }

  /** It runs on or has gone, without us. */
  #sleep(): void {
    this.#machine?.release()
    this.#machine = undefined
    this.#watch.stop()
    this.#rest()
  }

  #refuseAll(error: RdvError): void {
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) settle(waiter, error)
  }
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  /** Takes its listener from the signal. */
  readonly forget: () => void
}

function settle(waiter: Waiter, error?: RdvError): void {
  waiter.forget()
  if (error === undefined) waiter.resolve()
  else waiter.reject(error)
}

const neverAborted = new AbortController().signal
