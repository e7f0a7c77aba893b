import assert from "node:assert/strict"
import { once } from "node:events"
import { test } from "node:test"
import { Worker } from "node:worker_threads"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { ClientCells } from "./client-cells.ts"
import { ClientTable } from "./client-table.ts"

const clientPrefix = { ipv4: 32, ipv6: 64 }

test("two loops say together what one table would say alone", () => {
  const step = fc.record({
    client: fc.constantFrom("a", "b", "c"),
    loop: fc.nat({ max: 1 }),
    leaves: fc.boolean(),
    ms: fc.constantFrom(0, 0, 40, 500),
  })
  const rate = fc.option(fc.constantFrom(0.5, 2, 10), { nil: undefined })
  const most = fc.option(fc.constantFrom(1, 3), { nil: undefined })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), rate, most, (steps, perSecond, perClient) => {
      const clock = new FakeClock()
      const memory = ClientCells.shared(2)
      const cells = [0, 1].map((loop) => new ClientCells(memory, 2, loop))
      const limits = { perClient, newPerClientPerSecond: perSecond, clientPrefix }
      const table = new ClientTable({ clock, limits: () => limits })
      const there: { readonly client: string; readonly loop: number }[] = []
      for (const { client, loop, leaves, ms } of steps) {
        clock.advance(ms)
        const at = leaves ? there.findIndex((one) => one.client === client && one.loop === loop) : -1
        if (at >= 0) {
          there.splice(at, 1)
          cells[loop]?.left(client)
          table.left(client)
        } else {
          const said = cells[loop]?.admit(client, { most: perClient, perSecond }, clock.now())
          assert.equal(said, table.admit(client))
          if (said === undefined) there.push({ client, loop })
        }
        assert.equal(cells[0]?.connections(client), there.filter((one) => one.client === client).length)
      }
    }),
    { numRuns: 30 },
  )
})

test("a loop that dies gives its clients' places back", () => {
  const memory = ClientCells.shared(2)
  const [one, two] = [0, 1].map((loop) => new ClientCells(memory, 2, loop)) as [ClientCells, ClientCells]
  const limits = { most: 2, perSecond: undefined }
  for (const cells of [one, two]) assert.equal(cells.admit("a", limits, 1), undefined)
  assert.equal(one.admit("a", limits, 1), "limit-client")
  one.release(1)
  assert.equal(one.connections("a"), 1)
  assert.equal(one.admit("a", limits, 1), undefined)
})

test("a higher rate holds at once, whatever the lower one has left to pay", () => {
  const cells = new ClientCells(ClientCells.shared(1), 1, 0)
  const slow = { most: undefined, perSecond: 0.01 }
  assert.equal(cells.admit("a", slow, 1_000), undefined)
  assert.equal(cells.admit("a", slow, 1_000), "rate-client")
  const fast = { most: undefined, perSecond: 10 }
  assert.equal(cells.admit("a", fast, 1_000), "rate-client", "its burst is spent")
  assert.equal(cells.admit("a", fast, 1_101), undefined)
})

test("what was taken of a rate can be given back", () => {
  const cells = new ClientCells(ClientCells.shared(1), 1, 0)
  const limits = { most: undefined, perSecond: 1 }
  assert.equal(cells.admit("app", limits, 1_000), undefined)
  assert.equal(cells.admit("app", limits, 1_000), "rate-client")
  cells.refund("app", 1)
  assert.equal(cells.admit("app", limits, 1_000), undefined)
})

test("nobody is refused for want of a place, and whoever was there is counted on", () => {
  const cells = new ClientCells(ClientCells.shared(1), 1, 0)
  const limits = { most: 1, perSecond: undefined }
  const clients = Array.from({ length: 200_000 }, (_, at) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)
  for (const client of clients) assert.equal(cells.admit(client, limits, 1), undefined)
  const counted = clients.filter((client) => cells.connections(client) === 1)
  assert.ok(counted.length > 120_000, `${counted.length} counted`)
  for (const client of counted.slice(0, 1_000)) assert.equal(cells.admit(client, limits, 1), "limit-client")
})

test("threads that come and go at once never have more than the limit", async () => {
  const memory = ClientCells.shared(3)
  const peak = new Int32Array(new SharedArrayBuffer(12))
  const code = `
    const { workerData } = require("node:worker_threads")
    const { memory, peak, loop, module } = workerData
    import(module).then(({ ClientCells }) => {
      const cells = new ClientCells(memory, 3, loop)
      let held = 0
      Atomics.add(peak, 2, 1)
      while (Atomics.load(peak, 2) < 2);
      for (let round = 0; round < 60_000; round++) {
        if (held > 0 && (round % 3 === 0 || held > 2)) {
          Atomics.sub(peak, 0, 1)
          cells.left("a")
          held--
        } else if (cells.admit("a", { most: 4, perSecond: undefined }, 1) === undefined) {
          held++
          const now = Atomics.add(peak, 0, 1) + 1
          for (let seen = Atomics.load(peak, 1); now > seen; seen = Atomics.load(peak, 1)) Atomics.compareExchange(peak, 1, seen, now)
        }
      }
      for (; held > 0; held--) {
        Atomics.sub(peak, 0, 1)
        cells.left("a")
      }
    })`
  const module = new URL("client-cells.ts", import.meta.url).href
  const workers = [1, 2].map((loop) => new Worker(code, { eval: true, workerData: { memory, peak, loop, module } }))
  await Promise.all(workers.map((worker) => once(worker, "exit")))
  assert.ok((peak[1] as number) <= 4, `${peak[1]} at once`)
  assert.equal(new ClientCells(memory, 3, 0).connections("a"), 0)
})
