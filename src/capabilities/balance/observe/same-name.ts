/**
 * A target that was removed may come back while connections of the old one run: two of one name. Who shows targets shows
 * one: the state of the one that is used, and the figures of both.
 */

import type { TargetTotals } from "../target/target.ts"
import type { TargetSnapshot } from "./snapshot.ts"

export function oneOfEachName(targets: readonly TargetSnapshot[]): readonly TargetSnapshot[] {
  const byName = new Map<string, TargetSnapshot>()
  for (const target of targets) {
    const other = byName.get(target.name)
    byName.set(target.name, other === undefined ? target : joined(other, target))
  }
  return byName.size === targets.length ? targets : [...byName.values()]
}

function joined(a: TargetSnapshot, b: TargetSnapshot): TargetSnapshot {
  const [used, other] = a.obstacle === "removed" ? [b, a] : [a, b]
  const totals = { ...used.totals }
  for (const name of Object.keys(totals) as (keyof TargetTotals)[]) totals[name] += other.totals[name]
  return { ...used, active: a.active + b.active, pending: a.pending + b.pending, totals }
}
