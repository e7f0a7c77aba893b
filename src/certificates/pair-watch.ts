/**
 * Notices that a certificate was renewed: by looking at its files every few seconds, because what renews them swaps links,
 * replaces folders or writes in place, and no one event tells all of that. Files that have just changed are read at the
 * next look only, when both are written. A pair that cannot be used costs one line in the log; the present one stays.
 *
 * It also says until when the present pair is valid, and warns day by day when that is soon.
 */

import { asRdvError } from "../base/error.ts"
import type { Clock, Timer } from "../base/clock.ts"
import type { Log } from "../base/log.ts"
import { fileState } from "../config/file-state.ts"
import { readPair } from "./certificate-pair.ts"
import type { CertificatePair, PairFiles } from "./certificate-pair.ts"

export interface PairWatchOptions {
  readonly clock: Clock
  readonly log: Log
  /** Undefined for a pair that nobody renews while we run. */
  readonly files: PairFiles | undefined
  /** What is shown now. */
  readonly pair: CertificatePair
  /** Shows another one. */
  readonly onRenewed: (pair: CertificatePair) => void
  /** What to do when it runs out. */
  readonly mend: string
}

export class PairWatch {
  readonly #options: PairWatchOptions
  #pair: CertificatePair
  /** The files' state that the last read stands for; undefined as long as that is the one before we watched. */
  #read: string | undefined
  /** The files' state at the last look. */
  #seen: string | undefined
  #lookTimer: Timer | undefined
  #dayTimer: Timer | undefined
  #stopped = false

  /** Watches until `stop`. */
  constructor(options: PairWatchOptions) {
    this.#options = options
    this.#pair = options.pair
    this.#tell()
    this.#warnDaily()
    if (options.files !== undefined) this.#lookLater(options.files)
  }

  get pair(): CertificatePair {
    return this.#pair
  }

  stop(): void {
    this.#stopped = true
    this.#lookTimer?.cancel()
    this.#dayTimer?.cancel()
  }

  /** Reads the files now, whether they have changed or not, and says what came of it. */
  reload(): void {
    if (this.#options.files !== undefined) this.#load(this.#options.files, true)
  }

  #lookLater(files: PairFiles): void {
    this.#lookTimer = this.#options.clock.after(lookMs, () => {
      void stateOf(files).then((state) => {
        if (this.#stopped) return
        this.#look(files, state)
        this.#lookLater(files)
      })
    })
  }

  #look(files: PairFiles, state: string): void {
    const isSettled = state === this.#seen
    this.#seen = state
    if (state === this.#read || !isSettled) return
    this.#read = state
    this.#load(files, false)
  }

  #load(files: PairFiles, isAsked: boolean): void {
    let pair: CertificatePair
    try {
      pair = readPair(files)
      if (pair.cert !== this.#pair.cert || pair.key !== this.#pair.key) this.#options.onRenewed(pair)
      else if (!isAsked) return
    } catch (thrown) {
      const { message, mend } = asRdvError(thrown)
      const reason = mend === undefined ? message : `${message}: ${mend}`
      this.#options.log.warn("certificate.refused", { reason, keptUntil: written(this.#pair.until) })
      return
    }
    this.#pair = pair
    this.#tell()
    this.#warn()
  }

  #tell(): void {
    const { serial, until } = this.#pair
    this.#options.log.info("certificate.shown", { serial, until: written(until) })
  }

  #warnDaily(): void {
    this.#warn()
    this.#dayTimer = this.#options.clock.after(dayMs, () => this.#warnDaily())
  }

  #warn(): void {
    const { until } = this.#pair
    const days = Math.floor((until.getTime() - this.#options.clock.wall()) / dayMs)
    if (days >= soonDays) return
    const event = days < 0 ? "certificate.expired" : "certificate.expires"
    this.#options.log.warn(event, { until: written(until), ...(days >= 0 && { days }), mend: this.#options.mend })
  }
}

async function stateOf({ cert, key }: PairFiles): Promise<string> {
  return (await Promise.all([fileState(cert), fileState(key)])).join(", ")
}

/** `2026-03-01T12:00:00Z`. */
function written(moment: Date): string {
  return `${moment.toISOString().slice(0, 19)}Z`
}

/** A renewed pair is shown within two of these, ms. */
const lookMs = 5_000
const dayMs = 86_400_000
/** Who renews in time does so a month before; half of that is late, and early enough to mend it by hand. */
const soonDays = 14
