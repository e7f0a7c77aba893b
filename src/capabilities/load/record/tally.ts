/** The numbers of a stretch of time, and the one definition of what an error is: every judge and report uses this. */

import type { Interval, TargetInterval } from "./interval.ts"

export interface Counts {
  readonly planned: number
  readonly sent: number
  readonly completed: number
  readonly failed: number
  readonly timedOut: number
  readonly cut: number
  /** Of a single target always 0: a message that was not sent belongs to none. */
  readonly dropped: number
  readonly neverSent: number
  /** Attempts to connect that failed, and connections that broke while idle: errors without a message. */
  readonly notConnected: number
  readonly connects: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

/**
 * Everything that did not end in a right answer: messages that failed, timed out, were cut at the end, dropped or never
 * sent, and connections that were not had. What is still under way is neither error nor success.
 */
export function errorsIn(
  counts: Omit<Counts, "planned" | "sent" | "connects" | "bytesSent" | "bytesReceived">,
): number {
  const { failed, timedOut, cut, dropped, neverSent, notConnected } = counts
  return failed + timedOut + cut + dropped + neverSent + notConnected
}

/** Errors of kinds, beyond those that messages account for: `Counts.notConnected`. */
export function notConnectedIn(from: Pick<TargetInterval, "errors" | "failed" | "timedOut">): number {
  const all = Object.values(from.errors).reduce((sum, { count }) => sum + count, 0)
  return Math.max(0, all - from.failed - from.timedOut)
}

/**
 * Planned, where no plan says it (of one target, and in the closed model): what was sent, and what should have been sent on a connection that
 * was not had.
 */
export function begunIn(counts: Counts): number {
  return Math.max(counts.sent, counts.completed + counts.failed + counts.timedOut + counts.cut)
}

export class Tally implements Counts {
  planned = 0
  sent = 0
  completed = 0
  failed = 0
  timedOut = 0
  cut = 0
  dropped = 0
  neverSent = 0
  notConnected = 0
  connects = 0
  bytesSent = 0
  bytesReceived = 0

  /** What is counted for no single target. */
  addPlan(interval: Interval): void {
    this.planned += interval.planned
    this.dropped += interval.dropped
    this.neverSent += interval.neverSent
  }

  addTarget(target: TargetInterval): void {
    this.sent += target.sent
    this.completed += target.completed
    this.failed += target.failed
    this.timedOut += target.timedOut
    this.cut += target.cut
    this.notConnected += notConnectedIn(target)
    this.connects += target.connects
    this.bytesSent += target.bytesSent
    this.bytesReceived += target.bytesReceived
  }

  add(other: Counts): void {
    this.planned += other.planned
    this.sent += other.sent
    this.completed += other.completed
    this.failed += other.failed
    this.timedOut += other.timedOut
    this.cut += other.cut
    this.dropped += other.dropped
    this.neverSent += other.neverSent
    this.notConnected += other.notConnected
    this.connects += other.connects
    this.bytesSent += other.bytesSent
    this.bytesReceived += other.bytesReceived
  }
}
