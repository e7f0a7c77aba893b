/** The manual's table of how many clients move is what is measured here. */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { clientAt, rig, untried, type Rig } from "../../../../test/kit/balance-pool.ts"
import type { Target } from "../target/target.ts"

const clients = 100_000

const manual = readFileSync(new URL("../../../../docs/explanation/balancing.md", import.meta.url), "utf8")

/** `| targets | down | back | leaves | comes | … |` */
const rows = [...manual.matchAll(/^\| (\d+) \| ([\d.]+) \| all are home \| ([\d.]+) \| ([\d.]+) \|/gm)].map(
  ([, ...cells]) => cells.map(Number) as [targets: number, down: number, leaves: number, comes: number],
)

test("the manual's table of moved clients has its rows", () => {
  assert.equal(rows.length, 7)
})

for (const [targets, down, leaves, comes] of rows.filter(([count]) => count <= 100)) {
  test(`with ${targets} targets as many clients move as the manual says`, () => {
    const names = Array.from({ length: targets + 1 }, (_, at) => `10.0.${at >> 8}.${at & 255}:80`)
    const made = rig({ targets: names.slice(0, targets), policy: { kind: "hash" } })
    const before = homes(made)
    const middle = Math.floor(targets / 2)
    const victim = made.pool.targets[middle] as Target
    victim.healthy = false
    made.pool.changed()
    assert.equal(movedShare(before, homes(made)), down)
    victim.healthy = true
    made.pool.changed()
    assert.equal(movedShare(before, homes(made)), 0)
    made.pool.update(made.app(names))
    assert.equal(movedShare(before, homes(made)), comes)
    made.pool.update(made.app(names.filter((_, at) => at !== middle && at !== targets)))
    assert.equal(movedShare(before, homes(made)), leaves)
  })
}

function homes({ pool }: Rig): (string | undefined)[] {
  return Array.from({ length: clients }, (_, at) => pool.choose({ client: clientAt(at), tried: untried }).target?.name)
}

/** %, with one digit. */
function movedShare(before: readonly unknown[], after: readonly unknown[]): number {
  let moved = 0
  for (const [at, target] of before.entries()) if (target !== after[at]) moved++
  return Math.round((moved / clients) * 1000) / 10
}
