import assert from "node:assert/strict"
import { test } from "node:test"
import { ProxiedClient } from "./proxied-client.ts"
import { trustedProxies } from "./trusted-proxies.ts"

test("each request counts for its own visitor while it runs, and for the proxy where nobody can be read", () => {
  const running = new Map<string, number>()
  const counts = {
    enter(address: string) {
      const count = running.get(address) ?? 0
      if (count >= 1) return false
      running.set(address, count + 1)
      return true
    },
    leave: (address: string) => void running.delete(address),
  }
  const trusted = trustedProxies(["10.0.0.1"])
  const one = new ProxiedClient("10.0.0.1", trusted, counts)
  const other = new ProxiedClient("10.0.0.1", trusted, counts)
  const from = (...chains: string[]) => chains.flatMap((chain) => ["x-forwarded-for", chain])

  assert.equal(one.enter(from("192.0.2.1")), true)
  assert.deepEqual([one.address, [...running]], ["192.0.2.1", [["192.0.2.1", 1]]])
  assert.equal(other.enter(from("192.0.2.9", "192.0.2.1")), false, "the same visitor, over several lines")
  other.leave()
  assert.equal(running.size, 1, "who was not let in is not counted")
  one.leave()
  one.leave()
  assert.equal(running.size, 0)
  assert.equal(one.enter(from("192.0.2.1")), true, "the same again")
  one.leave()
  for (const headers of [[], from(""), from("garbage"), from("192.0.2.1", "garbage")]) {
    assert.equal(one.enter(headers), true)
    assert.deepEqual([...running.keys()], ["10.0.0.1"])
    one.leave()
  }
})
