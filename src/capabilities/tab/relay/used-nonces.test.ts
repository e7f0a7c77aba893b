import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { AddressBuckets } from "./address-buckets.ts"
import { UsedNonces } from "./used-nonces.ts"

test("a nonce is known for as long as its proof is of this time, and forgotten soon after", async () => {
  const clock = new FakeClock()
  for (const startMs of [0, 1, 99, 100, 150]) {
    const used = new UsedNonces({ clock, keepMs: 100, most: 10 })
    await clock.pass(startMs)
    used.add("a")
    await clock.pass(100)
    assert.ok(used.has("a"), String(startMs))
    await clock.pass(100)
    assert.ok(!used.has("a"), String(startMs))
  }
})

test("when there is no room nobody comes in, and nobody comes in twice", async () => {
  const clock = new FakeClock()
  const used = new UsedNonces({ clock, keepMs: 100, most: 3 })
  for (const nonce of ["a", "b", "c"]) used.add(nonce)
  assert.throws(() => used.add("d"), { code: "rate_limited" })
  assert.ok(used.has("a"))
  await clock.pass(200)
  used.add("d")
})

test("each address has a rate of its own, and only the latest ones are remembered", () => {
  const clock = new FakeClock()
  const buckets = new AddressBuckets({ clock, perSecond: 1, burst: 2, addresses: 2 })
  assert.deepEqual(
    [buckets.take("a"), buckets.take("a"), buckets.take("a"), buckets.take("b")],
    [true, true, false, true],
  )
  buckets.take("c")
  assert.equal(buckets.take("a"), true)
})

test("addresses of one IPv6 network have one share, those of IPv4 one each", () => {
  const buckets = new AddressBuckets({ clock: new FakeClock(), perSecond: 1, burst: 1, addresses: 10 })
  const taken = [
    "2001:db8::1",
    "[2001:db8::2]",
    "2001:DB8:0:0:1::3",
    "2001:db8:0:1::1",
    "192.0.2.1",
    "192.0.2.2",
    "::1",
  ]
  assert.deepEqual(
    taken.map((address) => buckets.take(address)),
    [true, false, false, true, true, true, true],
  )
})
