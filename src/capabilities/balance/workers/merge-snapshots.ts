/** One picture of apps that several event loops serve. */

import type { Ending } from "../connection/ending.ts"
import { merged } from "../observe/histogram.ts"
import type { AppSnapshot, ListenerSnapshot, TargetSnapshot } from "../observe/snapshot.ts"
import type { TargetTotals } from "../target/target.ts"

/**
 * `first` is the keeper's: it has every app and target, in their order, and knows what operators and checks say of them.
 * Counts are sums over all.
 */
export function mergeSnapshots(
  first: readonly AppSnapshot[],
  others: readonly (readonly AppSnapshot[])[],
): AppSnapshot[] {
  return first.map((app) => {
    const same = others.flatMap((apps) => apps.filter(({ name }) => name === app.name))
    return mergeApp(app, same)
  })
}

/** What a loop leaves behind that is gone: what has happened, and nothing that is. */
export function departed(apps: readonly AppSnapshot[]): AppSnapshot[] {
  return apps.map((app) => ({
    ...app,
    listeners: [],
    active: 0,
    queued: 0,
    panic: false,
    targets: app.targets.map((target) => ({
      ...target,
      obstacle: undefined,
      active: 0,
      pending: 0,
      warm: 0,
      latencyMs: undefined,
      ejectedForMs: 0,
    })),
  }))
}

function mergeApp(app: AppSnapshot, others: readonly AppSnapshot[]): AppSnapshot {
  if (others.length === 0) return app
  const all = [app, ...others]
  const sum = (read: (each: AppSnapshot) => number) => all.reduce((so, each) => so + read(each), 0)
  return {
    name: app.name,
    policy: app.policy,
    listeners: mergeListeners(all.flatMap(({ listeners }) => listeners)),
    active: sum(({ active }) => active),
    queued: sum(({ queued }) => queued),
    total: sum(({ total }) => total),
    endings: mergeEndings(all),
    bytesUp: sum(({ bytesUp }) => bytesUp),
    bytesDown: sum(({ bytesDown }) => bytesDown),
    connect: merged(all.map(({ connect }) => connect)),
    duration: merged(all.map(({ duration }) => duration)),
    queue: merged(all.map(({ queue }) => queue)),
    targets: app.targets.map((target) =>
      mergeTarget(
        target,
        others.flatMap(({ targets }) => targets.filter(({ name }) => name === target.name)),
      ),
    ),
    panic: all.some(({ panic }) => panic),
  }
}

function mergeTarget(target: TargetSnapshot, others: readonly TargetSnapshot[]): TargetSnapshot {
  const all = [target, ...others]
  const sum = (read: (each: TargetSnapshot) => number) => all.reduce((so, each) => so + read(each), 0)
  const totals = { ...target.totals }
  for (const name of Object.keys(totals) as (keyof TargetTotals)[]) totals[name] = sum((each) => each.totals[name])
  return {
    ...target,
    obstacle: target.obstacle ?? others.find(({ obstacle }) => obstacle !== undefined)?.obstacle,
    active: sum(({ active }) => active),
    pending: sum(({ pending }) => pending),
    warm: sum(({ warm }) => warm),
    latencyMs: meanLatency(all),
    ejectedForMs: Math.max(...all.map(({ ejectedForMs }) => ejectedForMs)),
    totals,
  }
}

/** Loops with more connections know it better. */
function meanLatency(targets: readonly TargetSnapshot[]): number | undefined {
  let sum = 0
  let weights = 0
  for (const { latencyMs, totals } of targets) {
    if (latencyMs === undefined) continue
    const weight = 1 + totals.connections
    sum += latencyMs * weight
    weights += weight
  }
  return weights === 0 ? undefined : sum / weights
}

function mergeEndings(apps: readonly AppSnapshot[]): AppSnapshot["endings"] {
  const endings: Partial<Record<Ending, number>> = {}
  for (const app of apps) {
    for (const [ending, count] of Object.entries(app.endings) as [Ending, number][]) {
      endings[ending] = (endings[ending] ?? 0) + count
    }
  }
  return endings
}

/** Each address once, and of its states the worst. */
function mergeListeners(listeners: readonly ListenerSnapshot[]): ListenerSnapshot[] {
  const found = new Map<string, ListenerSnapshot>()
  for (const listener of listeners) {
    const known = found.get(listener.address)
    if (known === undefined || badness[listener.state] > badness[known.state]) found.set(listener.address, listener)
  }
  return [...found.values()]
}

const badness: Readonly<Record<ListenerSnapshot["state"], number>> = {
  listening: 0,
  refusing: 1,
  closed: 2,
  retrying: 3,
}
