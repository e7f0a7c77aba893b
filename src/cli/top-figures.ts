/** What `rdv top` shows, as rates: the difference between two snapshots of a balancer over the time between them. */

import { blameOf, isFailure } from "../capabilities/balance/connection/blame.ts"
import type { Ending } from "../capabilities/balance/connection/ending.ts"
import { countIn, quantile, since } from "../capabilities/balance/observe/histogram.ts"
import { oneOfEachName } from "../capabilities/balance/observe/same-name.ts"
import type { AppSnapshot, Snapshot, TargetSnapshot } from "../capabilities/balance/observe/snapshot.ts"

/** Per second. */
export interface Rates {
  readonly connections: number
  readonly up: number
  readonly down: number
  readonly failures: number
}

export interface AppFigures {
  readonly app: AppSnapshot
  readonly rates: Rates
  /** Of the dials since the last look, or of all when there were none; undefined without any. ms. */
  readonly connect: { readonly p50: number; readonly p99: number } | undefined
  /** Since the last look, the most frequent first: what went wrong, on whose side soever. */
  readonly troubles: readonly (readonly [reason: Ending, count: number])[]
  readonly targets: readonly { readonly target: TargetSnapshot; readonly rates: Rates }[]
}

/** Without `before`: means since the start. */
export function figuresOf(before: Snapshot | undefined, after: Snapshot): readonly AppFigures[] {
  // Another process may have taken its place.
  const earlier = before?.startedAt === after.startedAt ? before : undefined
  const seconds = Math.max(0.001, (after.at - (earlier?.at ?? after.startedAt)) / 1_000)
  return after.apps.map((app) => {
    const was = earlier?.apps.find(({ name }) => name === app.name)
    const targetsBefore = new Map(oneOfEachName(was?.targets ?? []).map((target) => [target.name, target]))
    const troubles = troublesBetween(was, app)
    const failed = troubles.reduce((sum, [reason, count]) => sum + (isFailure(reason) ? count : 0), 0)
    return {
      app,
      rates: {
        connections: rate(was?.total, app.total, seconds),
        up: rate(was?.bytesUp, app.bytesUp, seconds),
        down: rate(was?.bytesDown, app.bytesDown, seconds),
        failures: failed / seconds,
      },
      connect: connectTimes(was, app),
      troubles,
      targets: oneOfEachName(app.targets).map((target) => ({
        target,
        rates: targetRates(targetsBefore.get(target.name), target, seconds),
      })),
    }
  })
}

function targetRates(before: TargetSnapshot | undefined, after: TargetSnapshot, seconds: number): Rates {
  const was = before?.totals
  const now = after.totals
  return {
    connections: rate(was?.connections, now.connections, seconds),
    up: rate(was?.bytesUp, now.bytesUp, seconds),
    down: rate(was?.bytesDown, now.bytesDown, seconds),
    failures:
      rate(was?.connectFailures, now.connectFailures, seconds) + rate(was?.earlyResets, now.earlyResets, seconds),
  }
}

function connectTimes(before: AppSnapshot | undefined, after: AppSnapshot): AppFigures["connect"] {
  const recent = since(before?.connect, after.connect)
  const of = countIn(recent) === 0 ? after.connect : recent
  const p50 = quantile(0.5, of)
  const p99 = quantile(0.99, of)
  return p50 === undefined || p99 === undefined ? undefined : { p50, p99 }
}

function troublesBetween(before: AppSnapshot | undefined, after: AppSnapshot): AppFigures["troubles"] {
  return (Object.entries(after.endings) as [Ending, number][])
    .filter(([reason]) => blameOf(reason) !== "nobody")
    .map(([reason, count]) => [reason, count - (before?.endings[reason] ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .toSorted(([, a], [, b]) => b - a)
}

/** A counter that fell has begun anew. */
function rate(before: number | undefined, after: number, seconds: number): number {
  const grown = before === undefined || before > after ? after : after - before
  return grown / seconds
}
