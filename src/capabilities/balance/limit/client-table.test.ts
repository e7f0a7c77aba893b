import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { ClientTable } from "./client-table.ts"

interface Limits {
  perClient: number | undefined
  newPerClientPerSecond: number | undefined
}

function table(limits: Limits, mostIdle?: number): { clock: FakeClock; clients: ClientTable } {
  const clock = new FakeClock()
  const bound = mostIdle === undefined ? {} : { mostIdle }
  return { clock, clients: new ClientTable({ clock, limits: () => limits, ...bound }) }
}

test("a client has as many connections as it may, and others have theirs", () => {
  const { clients } = table({ perClient: 2, newPerClientPerSecond: undefined })
  assert.deepEqual(
    ["a", "a", "a", "b"].map((key) => clients.admit(key)),
    [undefined, undefined, "limit-client", undefined],
  )
  clients.left("a")
  assert.equal(clients.admit("a"), undefined)
  for (const key of ["a", "a", "b"]) clients.left(key)
  assert.equal(clients.size, 0)
})

test("new connections come as fast as they may, with what one second brings at once, and refused ones cost nothing", () => {
  const { clock, clients } = table({ perClient: undefined, newPerClientPerSecond: 5 })
  const attempts = (count: number) => {
    let admitted = 0
    for (let at = 0; at < count; at++) {
      const refusal = clients.admit("a")
      if (refusal === undefined) {
        admitted++
        clients.left("a")
      } else assert.equal(refusal, "rate-client")
    }
    return admitted
  }
  assert.equal(attempts(100), 5)
  clock.advance(600)
  assert.equal(attempts(100), 3)
  clock.advance(10_000)
  assert.equal(attempts(100), 5)
  assert.equal(clients.size, 1, "its debt is remembered")
  clock.advance(1000)
  assert.equal(clients.admit("b"), undefined)
  clients.left("b")
  assert.equal(clients.size, 1, "and forgotten when it is paid")
})

test("less than one per second lets one in at first", () => {
  const { clock, clients } = table({ perClient: undefined, newPerClientPerSecond: 0.1 })
  assert.equal(clients.admit("a"), undefined)
  clock.advance(9_999)
  assert.equal(clients.admit("a"), "rate-client")
  clock.advance(2)
  assert.equal(clients.admit("a"), undefined)
})

test("limits may change while clients have connections", () => {
  const limits: Limits = { perClient: undefined, newPerClientPerSecond: undefined }
  const { clients } = table(limits)
  for (let at = 0; at < 3; at++) assert.equal(clients.admit("a"), undefined)
  limits.perClient = 3
  limits.newPerClientPerSecond = 1
  assert.equal(clients.admit("a"), "limit-client")
  clients.left("a")
  assert.equal(clients.admit("a"), undefined)
  clients.left("a")
  assert.equal(clients.admit("a"), "rate-client")
})

test("a flood of strangers is remembered within bounds, and refuses nobody who comes for the first time", () => {
  const { clients } = table({ perClient: 10, newPerClientPerSecond: 1 }, 1000)
  assert.equal(clients.admit("steady"), undefined)
  for (let at = 0; at < 5000; at++) {
    assert.equal(clients.admit(`${at}`), undefined)
    clients.left(`${at}`)
  }
  assert(clients.size <= 1001)
  assert.equal(clients.forgotten, 4000)
  assert.equal(clients.connections("steady"), 1)
  assert.equal(clients.admit("4999"), "rate-client")
  assert.equal(clients.admit("0"), undefined, "it was forgotten")
})

test("the count of a client is that of its connections, whatever happens", () => {
  const step = fc.tuple(fc.constantFrom("a", "b", "c"), fc.boolean(), fc.nat(500))
  const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const { clock, clients } = table({ perClient: 3, newPerClientPerSecond: 4 }, 1)
    const counts = new Map<string, number>()
    for (const [key, comes, ms] of steps) {
      clock.advance(ms)
      const count = counts.get(key) ?? 0
      if (comes) {
        const refusal = clients.admit(key)
        if (count === 3) assert.equal(refusal, "limit-client")
        if (refusal === undefined) counts.set(key, count + 1)
      } else if (count > 0) {
        clients.left(key)
        counts.set(key, count - 1)
      }
      assert.equal(clients.connections(key), counts.get(key) ?? 0)
    }
    for (const [key, count] of counts) for (let at = 0; at < count; at++) clients.left(key)
    assert(clients.size <= 2)
  })
  fc.assert(property)
})
