import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { sampleRecord } from "../../../../test/kit/balance-samples.ts"
import { endings } from "../connection/ending.ts"
import type { Ending } from "../connection/ending.ts"
import { AppStats } from "./app-stats.ts"
import { countIn } from "./histogram.ts"

test("every connection that came is running or has ended in exactly one way", () => {
  const any = fc.constantFrom(...(Object.keys(endings) as Ending[]))
  fc.assert(
    fc.property(fc.array(fc.record({ ending: any, over: fc.boolean() })), (connections) => {
      const stats = new AppStats()
      for (const { ending, over } of connections) {
        stats.began()
        if (over) stats.ended(sampleRecord({ ending }))
      }
      const parts = stats.snapshotParts()
      const ended = Object.values(parts.endings).reduce((sum, count) => sum + count, 0)
      assert.equal(parts.total, connections.length)
      assert.equal(parts.active + ended, parts.total)
      assert.equal(countIn(parts.duration), ended)
    }),
  )
})

test("only what happened is in the histograms and among the endings", () => {
  const stats = new AppStats()
  stats.began()
  stats.began()
  stats.ended(sampleRecord({ ending: "denied", connectMs: undefined, target: undefined }))
  stats.ended(sampleRecord({ queuedMs: 12 }))
  stats.bytes(10, 0)
  stats.bytes(0, 32)
  const { endings: ended, connect, queue, bytesUp, bytesDown } = stats.snapshotParts()
  assert.deepEqual(ended, { denied: 1, done: 1 })
  assert.deepEqual([countIn(connect), countIn(queue), bytesUp, bytesDown], [1, 1, 10, 32])
})
