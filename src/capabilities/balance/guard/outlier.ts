/**
 * Takes targets out of use for what their connections show: connects that fail in a row, connections that the target resets
 * before its first byte. Each ejection is twice as long as the one before, and time in good order makes them short again. A
 * target that comes back is on probation: its next failure ejects it, so that a dead one costs one dial and not several. It
 * never takes out more than the settings allow: with most targets ejected the fault is more likely ours, or the network's.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { OutlierSettings } from "../config/settings.ts"
import type { Target } from "../target/target.ts"

export interface OutlierOptions {
  /** Of one app. */
  readonly targets: () => readonly Target[]
  readonly settings: () => OutlierSettings
  readonly clock: Clock
  /** `ejection` is undefined where another event loop has decided it. */
  readonly onChange: (target: Target, event: "ejected" | "returned", ejection: Ejection | undefined) => void
}

/** What another event loop has to know to do the same. */
export interface Ejection {
  /** From now on. */
  readonly ms: number
  /** Ejections in a row, this one too. */
  readonly inARow: number
}

interface Conduct {
  /** In a row. */
  connectFailures: number
  earlyResets: number
  /** Ejections in a row: each doubles the time. */
  ejections: number
  /** Of the last ejection. */
  lastMs: number
  returnedAt: number
}

/** Of one app. It writes `ejectedUntil`, `usableSince` and `totals.ejections`; other totals are their callers'. */
export class Outlier {
  readonly #options: OutlierOptions
  readonly #conduct = new WeakMap<Target, Conduct>()
  readonly #ejected = new Map<Target, Timer>()

  constructor(options: OutlierOptions) {
    this.#options = options
  }

  /** A dial failed for a reason that is the target's: refused, unreachable, no name, no answer in time, bad TLS. */
  connectFailed(target: Target): void {
    const conduct = this.#of(target)
    conduct.connectFailures++
    const most = this.#options.settings().connectFailures
    if (most > 0 && conduct.connectFailures >= most) this.#eject(target, conduct)
  }

  /** A dial went well; that of an ejected target, as a last resort, ends its ejection. */
  connected(target: Target): void {
    const conduct = this.#conduct.get(target)
    if (conduct === undefined) return
    if (this.#ejected.has(target)) {
      this.#ejected.get(target)?.cancel()
      this.#return(target, conduct)
    }
    conduct.connectFailures = 0
  }

  /** It took the connection and reset it before its first byte, and the client had not gone. */
  earlyReset(target: Target): void {
    const conduct = this.#of(target)
    conduct.earlyResets++
    const most = this.#options.settings().earlyResets
    if (most > 0 && conduct.earlyResets >= most) this.#eject(target, conduct)
  }

  /** It sent a byte, or ended in good order. */
  good(target: Target): void {
    const conduct = this.#conduct.get(target)
    if (conduct !== undefined) conduct.earlyResets = 0
  }

  /** Another event loop has ejected it; nobody is told. True: it is ejected here too from now on. */
  follow(target: Target, { ms, inARow }: Ejection): boolean {
    if (this.#ejected.has(target) || target.removed || !this.#mayEject()) return false
    const conduct = this.#of(target)
    conduct.ejections = inARow
    conduct.lastMs = ms
    this.#keepOut(target, ms, () => {
      this.#takeBack(target, conduct)
      this.#options.onChange(target, "returned", undefined)
    })
    return true
  }

  /** Another event loop has found it well. True: it is no longer ejected here. */
  forgive(target: Target): boolean {
    const timer = this.#ejected.get(target)
    if (timer === undefined) return false
    timer.cancel()
    this.#takeBack(target, this.#of(target))
    return true
  }

  /** Ends ejections without a word: nobody is there to be told. */
  stop(): void {
    for (const [target, timer] of this.#ejected) {
      timer.cancel()
      target.ejectedUntil = 0
    }
    this.#ejected.clear()
  }

  #of(target: Target): Conduct {
    let conduct = this.#conduct.get(target)
    if (conduct === undefined) {
      conduct = { connectFailures: 0, earlyResets: 0, ejections: 0, lastMs: 0, returnedAt: 0 }
      this.#conduct.set(target, conduct)
    }
    return conduct
  }

  #eject(target: Target, conduct: Conduct): void {
    const { clock, onChange, settings } = this.#options
    if (this.#ejected.has(target) || target.removed || !this.#mayEject()) return
    const now = clock.now()
    const { ejectMs, maxEjectMs } = settings()
    // Each span as long as the last ejection that went well makes up for one.
    if (conduct.lastMs > 0) {
      conduct.ejections = Math.max(0, conduct.ejections - Math.floor((now - conduct.returnedAt) / conduct.lastMs))
    }
    const ms = Math.min(maxEjectMs, ejectMs * 2 ** conduct.ejections)
    // What the cap cuts off does not have to be made up for.
    if (ms < maxEjectMs) conduct.ejections++
    conduct.lastMs = ms
    target.totals.ejections++
    this.#keepOut(target, ms, () => this.#return(target, conduct))
    onChange(target, "ejected", { ms, inARow: conduct.ejections })
  }

  #keepOut(target: Target, ms: number, onOver: () => void): void {
    const { clock } = this.#options
    target.ejectedUntil = clock.now() + ms
    this.#ejected.set(target, clock.after(ms, onOver))
  }

  #return(target: Target, conduct: Conduct): void {
    this.#takeBack(target, conduct)
    this.#options.onChange(target, "returned", { ms: 0, inARow: conduct.ejections })
  }

  #takeBack(target: Target, conduct: Conduct): void {
    const { clock, settings } = this.#options
    const { connectFailures, earlyResets } = settings()
    conduct.connectFailures = Math.max(0, connectFailures - 1)
    conduct.earlyResets = Math.max(0, earlyResets - 1)
    conduct.returnedAt = clock.now()
    this.#ejected.delete(target)
    target.ejectedUntil = 0
    target.usableSince = conduct.returnedAt
  }

  #mayEject(): boolean {
    const { maxEjected } = this.#options.settings()
    let all = 0
    let ejected = 0
    for (const target of this.#options.targets()) {
      if (target.removed || target.orders === "disable") continue
      all++
      if (this.#ejected.has(target)) ejected++
    }
    // Half of three is two, and of two one may go at any share but 0; the last one never goes, unless all may.
    const most = maxEjected === 1 ? all : Math.min(all - 1, Math.ceil(all * maxEjected))
    return ejected < most
  }
}
