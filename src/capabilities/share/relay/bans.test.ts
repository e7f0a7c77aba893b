import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { Bans } from "./bans.ts"

test("an address waits a minute, then two, and no longer than an hour; then it is forgotten", () => {
  const clock = new FakeClock()
  const bans = new Bans(clock)
  bans.checkNew("10.0.0.1")
  for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
    bans.ban(`liar ${minutes}`, "10.0.0.1")
    clock.advance(minutes * 60_000 - 500)
    assert.throws(() => bans.checkNew("10.0.0.1"), { code: "limit", message: /nobody new from there for 1 s$/ })
    clock.advance(500)
    bans.checkNew("10.0.0.1")
    assert.ok(bans.isSuspect("10.0.0.1"))
    bans.checkNew("10.0.0.2")
    assert.ok(!bans.isSuspect("10.0.0.2"))
  }
  clock.advance(3_600_000)
  assert.ok(!bans.isSuspect("10.0.0.1"))
  bans.ban("liar", "10.0.0.1")
  clock.advance(60_000)
  bans.checkNew("10.0.0.1")
  assert.throws(() => bans.check("liar"), { code: "forbidden" })
})

test("IPv6 counts by its network, and a liar with a token by its name alone", () => {
  const bans = new Bans(new FakeClock())
  bans.ban("one", "2001:db8:1:2::99")
  for (const same of ["2001:db8:1:2::1", "2001:db8:1:2:a:b:c:d"]) assert.throws(() => bans.checkNew(same))
  for (const other of ["2001:db8:1:3::1", "2001:db8::2", "::1", "10.0.0.1"]) bans.checkNew(other)
  bans.ban("two", undefined)
  assert.throws(() => bans.check("two"))
  for (let at = 0; at < 1_500; at++) bans.ban(`m${at}`, `10.1.${at >> 8}.${at & 255}`)
  bans.checkNew("2001:db8:1:2::1")
  assert.throws(() => bans.checkNew("10.1.5.1"))
})
