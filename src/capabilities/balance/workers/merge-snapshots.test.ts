import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { sampleRecord, sampleTarget } from "../../../../test/kit/balance-samples.ts"
import { endings } from "../connection/ending.ts"
import type { Ending } from "../connection/ending.ts"
import { AppStats } from "../observe/app-stats.ts"
import type { AppSnapshot } from "../observe/snapshot.ts"
import { departed, mergeSnapshots } from "./merge-snapshots.ts"

interface Visit {
  readonly loop: number
  readonly ending: Ending
  readonly durationMs: number
  readonly connectMs: number | undefined
  readonly queuedMs: number | undefined
  readonly bytes: number
  readonly isOver: boolean
}

const visits = fc.array(
  fc.record({
    loop: fc.nat({ max: 3 }),
    ending: fc.constantFrom(...(Object.keys(endings) as Ending[])),
    durationMs: fc.nat({ max: 100_000 }),
    connectMs: fc.option(fc.nat({ max: 40_000 }), { nil: undefined }),
    queuedMs: fc.option(fc.nat({ max: 10_000 }), { nil: undefined }),
    bytes: fc.nat(),
    isOver: fc.boolean(),
  }),
)

/** What one loop tells that had these visits. */
function snapshotOf(seen: readonly Visit[]): AppSnapshot {
  const stats = new AppStats()
  let connections = 0
  for (const { ending, durationMs, connectMs, queuedMs, bytes, isOver } of seen) {
    stats.began()
    stats.bytes(bytes, 2 * bytes)
    connections++
    if (isOver) stats.ended(sampleRecord({ ending, durationMs, connectMs, queuedMs }))
  }
  const totals = { ...sampleTarget("a:1").totals, connections }
  return {
    name: "web",
    policy: "round-robin",
    listeners: [{ address: "*:80", state: "listening", error: undefined }],
    ...stats.snapshotParts(),
    queued: seen.length % 3,
    targets: [sampleTarget("a:1", { active: connections, totals })],
    panic: false,
  }
}

test("loops together tell what one loop would tell that had had all their visits", () => {
  fc.assert(
    fc.property(visits, (all) => {
      const loops = [0, 1, 2, 3].map((at) => snapshotOf(all.filter(({ loop }) => loop === at)))
      const [first, ...others] = loops as [AppSnapshot, ...AppSnapshot[]]
      const [merged] = mergeSnapshots(
        [first],
        others.map((app) => [app]),
      )
      const whole = snapshotOf(all)
      const counted = ({
        total,
        active,
        endings: ended,
        bytesUp,
        bytesDown,
        connect,
        duration,
        queue,
      }: AppSnapshot) => ({
        total,
        active,
        ended,
        bytesUp,
        bytesDown,
        connect,
        duration,
        queue,
      })
      assert.deepEqual(counted(merged as AppSnapshot), counted(whole))
      assert.deepEqual(merged?.listeners, whole.listeners)
      assert.equal(merged?.targets[0]?.active, whole.targets[0]?.active)
      assert.equal(merged?.targets[0]?.totals.connections, whole.targets[0]?.totals.connections)
    }),
  )
})

/** Without means, which are sums of fractions. */
function exact(apps: readonly AppSnapshot[]): object[] {
  return apps.map((app) => ({ ...app, targets: app.targets.map(({ latencyMs: _, ...target }) => target) }))
}

test("merging in any order, or in steps, says the same", () => {
  fc.assert(
    fc.property(visits, (all) => {
      const [a, b, c] = [0, 1, 2].map((at) => [snapshotOf(all.filter(({ loop }) => loop === at))]) as [
        AppSnapshot[],
        AppSnapshot[],
        AppSnapshot[],
      ]
      const once = mergeSnapshots(a, [b, c])
      assert.deepEqual(exact(mergeSnapshots(a, [c, b])), exact(once))
      assert.deepEqual(exact(mergeSnapshots(mergeSnapshots(a, [b]), [c])), exact(once))
    }),
  )
})

test("a loop that is gone leaves what has happened, and nothing that is", () => {
  const before = snapshotOf([
    { loop: 0, ending: "done", durationMs: 5, connectMs: 1, queuedMs: undefined, bytes: 10, isOver: true },
    { loop: 0, ending: "done", durationMs: 5, connectMs: 1, queuedMs: undefined, bytes: 10, isOver: false },
  ])
  const [after] = departed([before])
  assert.deepEqual([after?.total, after?.active, after?.queued, after?.bytesUp], [2, 0, 0, 20])
  assert.deepEqual([after?.targets[0]?.active, after?.targets[0]?.totals.connections], [0, 2])
})

test("of what loops see differently, the worse is shown, and the keeper's word on targets", () => {
  const app = snapshotOf([])
  const keeper = { ...app, listeners: [], targets: [sampleTarget("a:1", { healthy: false, healthReason: "HTTP 503" })] }
  const refused = { address: "*:80", state: "retrying", error: "another process has the port" } as const
  const one = {
    ...app,
    listeners: [refused],
    targets: [sampleTarget("a:1", { ejectedForMs: 700, latencyMs: undefined })],
  }
  const two = { ...app, panic: true, targets: [sampleTarget("a:1", { obstacle: "open", ejectedForMs: 300 })] }
  const [merged] = mergeSnapshots([keeper], [[one], [two]])
  assert.deepEqual([merged?.listeners, merged?.panic], [[refused], true])
  const [target] = merged?.targets ?? []
  assert.deepEqual(
    [target?.healthy, target?.healthReason, target?.obstacle, target?.ejectedForMs],
    [false, "HTTP 503", "open", 700],
  )
})
