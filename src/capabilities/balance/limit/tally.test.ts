import assert from "node:assert/strict"
import { once } from "node:events"
import { test } from "node:test"
import { Worker } from "node:worker_threads"
import { Tally } from "./tally.ts"

test("a limit lets in as many as it says", () => {
  const tally = Tally.single(2)
  assert.deepEqual(
    [0, 0, 0].map((counter) => tally.take(counter, 2)),
    [true, true, false],
  )
  assert.equal(tally.take(1, undefined), true)
  tally.give(0)
  assert.equal(tally.take(0, 2), true)
  assert.equal(tally.take(0, 1), false, "a limit that has become smaller")
  assert.equal(tally.count(0), 2)
  assert.equal(tally.take(1, 0), false)
  assert.throws(() => tally.take(2, 1), RangeError)
})

test("several loops never have more than the limit together, and what a dead one held comes back", async () => {
  const options = { counters: 1, loops: 4 }
  const cells = Tally.shared(options)
  const limit = 5
  const code = `
    const { workerData, parentPort } = require("node:worker_threads")
    import(workerData.module).then(({ Tally }) => {
      const tally = new Tally(workerData.cells, workerData.options, workerData.loop)
      let most = 0, taken = 0
      for (let round = 0; round < 200_000; round++) {
        if (!tally.take(0, workerData.limit)) continue
        taken++
        most = Math.max(most, tally.count(0))
        tally.give(0)
      }
      if (workerData.loop === 3) tally.take(0, undefined)
      parentPort.postMessage({ most, taken })
    })`
  const module = new URL("tally.ts", import.meta.url).href
  const results = await Promise.all(
    [0, 1, 2, 3].map(async (loop) => {
      const worker = new Worker(code, { eval: true, workerData: { cells, options, loop, limit, module } })
      const [result] = (await once(worker, "message")) as [{ most: number; taken: number }]
      await worker.terminate()
      return result
    }),
  )
  for (const { most, taken } of results) assert(most <= limit && taken > 0)
  const tally = new Tally(cells, options, 0)
  assert.equal(tally.count(0), 1)
  tally.release(3)
  assert.equal(tally.count(0), 0)
})
