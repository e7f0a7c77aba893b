/** How an app looks at one moment. */

import type { AppSnapshot, ListenerSnapshot, TargetSnapshot } from "../observe/snapshot.ts"
import type { Target } from "../target/target.ts"
import type { App } from "./app.ts"

export function appSnapshot(app: App, listeners: readonly ListenerSnapshot[], now: number): AppSnapshot {
  const { settings, pool, queue, stats } = app
  return {
    name: settings.name,
    policy: settings.policy.kind,
    listeners,
    ...stats.snapshotParts(),
    queued: queue.length,
    targets: pool.targets.map((target) => targetSnapshot(app, target, now)),
    panic: pool.panic,
  }
}

function targetSnapshot(app: App, target: Target, now: number): TargetSnapshot {
  const { name, orders, healthy, healthReason, settings, active, pending, latency, ejectedUntil, totals } = target
  const { waker, warm } = app.upstream(target)
  return {
    name,
    orders,
    obstacle: target.obstacle(now),
    healthy,
    healthReason,
    weight: settings.weight,
    priority: settings.priority,
    zone: settings.zone,
    active,
    pending,
    warm,
    latencyMs: latency.value,
    ejectedForMs: Math.max(0, ejectedUntil - now),
    wake: waker?.state,
    totals: { ...totals },
  }
}
