import assert from "node:assert/strict"
import { test } from "node:test"
import { defaultSettings } from "./defaults.ts"
import { lookupName, withResolutions } from "./resolve.ts"

const resolved = (...flags: readonly string[]) => withResolutions(defaultSettings, flags).resolve

test("hosts get addresses, as this command and as curl spell it", () => {
  assert.deepEqual(
    { ...resolved("Shop.test=127.0.0.1,::1", "shop.test=127.0.0.2", "b:5=::1", "c.test:443:[::1],10.0.0.1") },
    {
      "shop.test": ["127.0.0.1", "::1", "127.0.0.2"],
      "b:5": ["::1"],
      "c.test:443": ["::1", "10.0.0.1"],
    },
  )
})

test("flags go before the file, and a port before all ports", () => {
  const settings = { ...defaultSettings, resolve: { a: ["::1"], b: ["::2"], "b:5": ["::3"] } }
  const { resolve } = withResolutions(settings, ["a=127.0.0.1"])
  assert.deepEqual({ ...resolve }, { a: ["127.0.0.1"], b: ["::2"], "b:5": ["::3"] })
  assert.equal(lookupName(resolve, { host: "B", port: 5 }), "b:5")
  assert.equal(lookupName(resolve, { host: "b", port: 6 }), "b")
  assert.equal(lookupName(resolve, { host: "c", port: 5 }), "c")
})

test("what is no host with addresses is told with the mend", () => {
  const mend = "write shop.test=127.0.0.1, shop.test=127.0.0.1,::1 or shop.test:443:127.0.0.1"
  for (const [flag, message] of [
    ["a", '"a" is not a host with an address'],
    ["a=b", '"a=b" has "b" where an address should be'],
    ["a:5:", '"a:5:" has "" where an address should be'],
  ] as const) {
    assert.throws(() => resolved(flag), { code: "usage", message, mend })
  }
  assert.throws(() => resolved("a:0=::1"), { code: "usage", message: '"a:0" has a bad port' })
})
