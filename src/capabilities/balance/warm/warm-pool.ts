/**
 * Connections to one target that stand ready, so that a client is joined at once instead of after the round trips of a
 * connect (and of a TLS handshake). The newest is taken first: it is the least likely to be stale. None is kept longer than
 * its target is known to keep it.
 *
 *     dial ──▶ ready ──▶ taken
 *       │        └─ ended, broken, too old: another dial
 *       └─ failed: back-off, and then only one until that has lasted
 */

import { Backoff } from "../../../base/backoff.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { cutEnd } from "../../../sockets/joint.ts"
import type { JointEnd } from "../../../sockets/joint.ts"
import type { DialFault, DialListener } from "../connection/dial.ts"
import type { Target } from "../target/target.ts"
import { ReadyConnection } from "./ready-connection.ts"
import type { Loss } from "./ready-connection.ts"
import { WarmSize } from "./warm-size.ts"

export interface WarmPoolOptions {
  readonly target: Target
  readonly clock: Clock
  readonly random: { fraction(): number }
  /** A dial to it without any client's facts; started here. */
  readonly dial: (listener: DialListener) => { start(): void; cancel(): void }
  /** Whether it could take connections, as far as the target's own record does not tell. */
  readonly mayDial: () => boolean
  /** How long a dial may take, ms. */
  readonly connectMs: () => number
  readonly onDialled: (ms: number) => void
  /** Of dials that fail together, one is told. */
  readonly onDialFailed: () => void
}

interface Ready {
  readonly connection: ReadyConnection
  readonly since: number
  readonly until: number
}

interface Dialling {
  readonly startedAt: number
  cancel(): void
}

/** Between two looks at ages and time-outs, ms. */
const lookMs = 1_000
/** How long one is kept at most, ms; less where the target ends them sooner, but no less than `leastAgeMs`. */
const mostAgeMs = 30_000
const leastAgeMs = 3_000
/** A shorter age is forgotten in some minutes: the end that taught it may have had another reason. */
const agePerLook = 1.005
/** What is ended sooner was made in vain, ms. */
const vainMs = 1_000
/** So many at once; the others follow as these are through. */
const mostDials = 64

export class WarmPool {
  readonly #options: WarmPoolOptions
  readonly #size: WarmSize
  /** The oldest first. */
  #ready: Ready[] = []
  readonly #dials: Set<Dialling> = new Set()
  readonly #backoff: Backoff
  /** Nothing is dialled before. */
  #quietUntil = 0
  /** Since when attempts were in vain; undefined while all is well. One is made, and the others when it has lasted. */
  #carefulSince: number | undefined
  /** How long the target lets them wait, as far as we know, ms. */
  #ageMs = mostAgeMs
  #timer: Timer | undefined
  #isStopped = false

  /** Begins to dial with the next turn of the clock. */
  constructor(options: WarmPoolOptions) {
    const { target, clock, random } = options
    this.#options = options
    this.#size = new WarmSize(target.settings.warm, clock.now())
    this.#backoff = new Backoff({ firstMs: 1_000, maxMs: 60_000, random: () => random.fraction() })
    this.#lookIn(0)
  }

  /** How many stand ready. */
  get length(): number {
    return this.#ready.length
  }

  /** For a client; undefined when there is none. `mayHaveSpoken`: what it said so far can be passed on. */
  take(options: { readonly mayHaveSpoken: boolean }): JointEnd | undefined {
    if (this.#isStopped || !this.#isOpen) return undefined
    let taken: JointEnd | undefined
    while (taken === undefined) {
      const ready = this.#ready.pop()
      if (ready === undefined) break
      taken = ready.connection.take(options)
    }
    if (taken === undefined) this.#size.missed()
    else this.#size.taken(this.#ready.length)
    this.#fill()
    return taken
  }

  /** What it depends on may have changed: the target's state, its settings, its connections. */
  refresh(): void {
    if (this.#isStopped) return
    this.#size.least = this.#options.target.settings.warm
    this.#fill()
  }

  /** Drops all; others follow with the next `refresh`. */
  clear(): void {
    const ready = this.#ready
    this.#ready = []
    for (const { connection } of ready) connection.drop()
    for (const dialling of this.#dials) dialling.cancel()
    this.#dials.clear()
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.clear()
  }

  /** New connections go there. */
  get #isOpen(): boolean {
    const { target, clock, mayDial } = this.#options
    const obstacle = target.obstacle(clock.now())
    return (obstacle === undefined || obstacle === "full") && mayDial()
  }

  /** As many as should be, no more than the target may have. */
  get #goal(): number {
    const { maxConnections = Infinity } = this.#options.target.settings
    const { active, pending } = this.#options.target
    return Math.max(0, Math.min(this.#size.wanted, maxConnections - active - pending))
  }

  #fill(): void {
    if (!this.#isOpen) {
      this.clear()
      return
    }
    const goal = this.#goal
    while (this.#ready.length > goal) this.#ready.shift()?.connection.drop()
    const now = this.#options.clock.now()
    const wanted = this.#carefulSince === undefined ? goal : Math.min(goal, 1)
    while (now >= this.#quietUntil && this.#dials.size < mostDials && this.#ready.length + this.#dials.size < wanted) {
      this.#dial(now)
    }
  }

  #dial(startedAt: number): void {
    const { clock, dial, onDialled } = this.#options
    const attempt = dial({
      dialled: (end) => {
        if (!this.#dials.delete(dialling)) {
          cutEnd(end)
          return
        }
        onDialled(clock.now() - startedAt)
        this.#add(end)
        this.#fill()
      },
      dialFailed: (_detail, fault) => {
        if (this.#dials.delete(dialling)) this.#failed(dialling, fault)
      },
    })
    const dialling: Dialling = { startedAt, cancel: () => attempt.cancel() }
    this.#dials.add(dialling)
    attempt.start()
  }

  #add(end: JointEnd): void {
    const { clock, random } = this.#options
    const since = clock.now()
    const ready: Ready = {
      connection: new ReadyConnection(end, (loss) => this.#lost(ready, loss)),
      since,
      // Those that were made together do not go together.
      until: since + this.#ageMs * (0.75 + random.fraction() / 4),
    }
    this.#ready.push(ready)
  }

  #failed({ startedAt }: Dialling, fault: DialFault): void {
    // Of those that were under way together only the first one is news.
    if (startedAt < this.#quietUntil) return
    this.#beQuiet()
    if (fault === "target") this.#options.onDialFailed()
  }

  #beQuiet(): void {
    const now = this.#options.clock.now()
    this.#carefulSince = now
    this.#quietUntil = now + this.#backoff.next()
  }

  #beBold(): void {
    this.#carefulSince = undefined
    this.#backoff.reset()
  }

  #lost(ready: Ready, loss: Loss): void {
    const { clock } = this.#options
    const at = this.#ready.indexOf(ready)
    if (at >= 0) this.#ready.splice(at, 1)
    const now = clock.now()
    const ageMs = now - ready.since
    // What a target ends so soon is not worth a new one at once.
    if (ageMs < vainMs) {
      if (now >= this.#quietUntil) this.#beQuiet()
      return
    }
    // It does not wait longer: the next ones go before that, so that no client gets one that is about to end.
    if (loss === "ended") this.#ageMs = Math.max(leastAgeMs, Math.min(this.#ageMs, ageMs * 0.75))
    this.#fill()
  }

  #lookIn(ms: number): void {
    this.#timer = this.#options.clock.after(ms, () => {
      this.#look()
      if (!this.#isStopped) this.#lookIn(lookMs)
    })
  }

  #look(): void {
    const { clock, connectMs } = this.#options
    const now = clock.now()
    this.#size.look(now)
    this.#ageMs = Math.min(mostAgeMs, this.#ageMs * agePerLook)
    this.#ready = this.#ready.filter(({ connection, since, until }) => {
      if (now >= until) {
        connection.drop()
        return false
      }
      if (now - since >= vainMs) {
        if (this.#carefulSince !== undefined && since >= this.#carefulSince) this.#beBold()
        connection.probe()
      }
      return true
    })
    const latest = connectMs()
    for (const dialling of this.#dials) {
      if (now - dialling.startedAt < latest) continue
      dialling.cancel()
      this.#dials.delete(dialling)
      this.#failed(dialling, "target")
    }
    this.#fill()
  }
}
