/** What an app has done since the start: counted where it happens, read by the snapshot. It outlives reloads of the app. */

import { endings } from "../connection/ending.ts"
import type { Ending } from "../connection/ending.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import { Histogram, longBounds, shortBounds } from "./histogram.ts"
import type { AppSnapshot } from "./snapshot.ts"

export type AppStatsSnapshot = Pick<
  AppSnapshot,
  "active" | "total" | "endings" | "bytesUp" | "bytesDown" | "connect" | "duration" | "queue"
>

export class AppStats {
  readonly #endings: Record<Ending, number>
  readonly #connect = new Histogram(shortBounds)
  readonly #duration = new Histogram(longBounds)
  readonly #queue = new Histogram(shortBounds)
  #total = 0
  #ended = 0
  #bytesUp = 0
  #bytesDown = 0

  constructor() {
    const none = Object.keys(endings).map((ending) => [ending, 0] as const)
    this.#endings = Object.fromEntries(none) as Record<Ending, number>
  }

  /** A connection came; each that did is told to `ended` once, those too that are refused at the door. */
  began(): void {
    this.#total++
  }

  ended(record: ConnectionRecord): void {
    this.#ended++
    this.#endings[record.ending]++
    this.#duration.add(record.durationMs)
    if (record.connectMs !== undefined) this.#connect.add(record.connectMs)
    if (record.queuedMs !== undefined) this.#queue.add(record.queuedMs)
  }

  /** For each chunk that was passed on; the totals of records are not added. */
  bytes(up: number, down: number): void {
    this.#bytesUp += up
    this.#bytesDown += down
  }

  snapshotParts(): AppStatsSnapshot {
    const happened = Object.entries(this.#endings).filter(([, count]) => count > 0)
    return {
      active: this.#total - this.#ended,
      total: this.#total,
      endings: Object.fromEntries(happened),
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      connect: this.#connect.snapshot(),
      duration: this.#duration.snapshot(),
      queue: this.#queue.snapshot(),
    }
  }
}
