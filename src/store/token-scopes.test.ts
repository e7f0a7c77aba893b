import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { RdvError } from "../base/error.ts"
import { allowsName, allowsPort, allowsService, readScopes } from "./token-scopes.ts"

test("what is left out allows everything, what is empty allows nothing", () => {
  assert.ok(allowsName({}, "blog") && allowsPort({}, 22) && allowsService({}, "tcp/22"))
  const none = { names: [], ports: [], services: [] }
  assert.ok(!allowsName(none, "blog") && !allowsPort(none, 22) && !allowsService(none, "tcp/22"))
})

test("a star stands for any run of characters, also none", () => {
  const scopes = readScopes({ names: ["blog", "team-*", "*-dev", "a*b*c"] })
  for (const name of ["blog", "team-", "team-x", "x-dev", "-dev", "abc", "a1b2c", "abbcc"]) {
    assert.ok(allowsName(scopes, name), name)
  }
  for (const name of ["blogs", "blo", "team", "dev", "x-dev-", "acb", ""]) assert.ok(!allowsName(scopes, name), name)
})

test("ranges of ports hold their ends", () => {
  const scopes = readScopes({
    ports: [
      [2200, 2299],
      [80, 80],
    ],
  })
  assert.deepEqual(
    [2199, 2200, 2299, 2300, 80, 81].map((port) => allowsPort(scopes, port)),
    [false, true, true, false, true, false],
  )
})

test("a glob matches exactly what the same regular expression matches", () => {
  const part = fc.string({ unit: fc.constantFrom("a", "b", "-", "*"), minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(part, part, (glob, raw) => {
      const text = raw.replaceAll("*", "a")
      const same = new RegExp(`^${glob.replaceAll("*", ".*")}$`).test(text)
      assert.equal(allowsName({ names: [glob] }, text), same)
    }),
  )
})

test("a pattern of many stars takes no time", () => {
  const started = performance.now()
  assert.ok(!allowsName({ names: [`${"*a".repeat(31)}b`] }, "a".repeat(63)))
  assert.ok(performance.now() - started < 50)
})

test("anything misspelt or out of range is refused with its place", () => {
  const bad: [unknown, RegExp][] = [
    [null, /^scopes must be an object$/],
    [[], /^scopes must be an object$/],
    [{ name: ["blog"] }, /^scopes has an unknown key "name"$/],
    [{ names: "blog" }, /^scopes.names must be a list$/],
    [{ names: ["ok", "Blog"] }, /^scopes.names\[1\] is not a name or pattern$/],
    [{ names: Array.from({ length: 300 }, () => "a") }, /more than 256/],
    [{ ports: [[3, 2]] }, /^scopes.ports\[0\] is not a range/],
    [{ ports: [[0, 2]] }, /^scopes.ports\[0\]/],
    [{ ports: [22] }, /^scopes.ports\[0\]/],
    [{ ports: [[1, 2, 3]] }, /^scopes.ports\[0\]/],
    [{ services: ["HTTP"] }, /^scopes.services\[0\]/],
    [{ limits: { session: 1 } }, /^scopes.limits has an unknown key "session"$/],
    [{ limits: { sessions: 0 } }, /^scopes.limits.sessions must be a whole number above 0$/],
    [{ limits: { visitors: 1.5 } }, /^scopes.limits.visitors/],
    [{ limits: 3 }, /^scopes.limits must be an object$/],
  ]
  for (const [raw, message] of bad) {
    assert.throws(
      () => readScopes(raw),
      (error: RdvError) => error.code === "usage" && message.test(error.message) && error.mend !== undefined,
      JSON.stringify(raw),
    )
  }
})

test("rights on channels are paths with letters", () => {
  assert.deepEqual(readScopes({ channels: ["/jobs:r", "/:rw"] }), { channels: ["/jobs:r", "/:rw"] })
  assert.throws(() => readScopes({ channels: ["jobs"] }), { code: "usage", message: /channels\[0\]/ })
})
