import assert from "node:assert/strict"
import { test } from "node:test"
import { allowsPath, isPathRule, leadsToAllowed } from "./path-rights.ts"

test("a rule is an absolute path with its rights", () => {
  for (const rule of ["/:rw", "/jobs:r", "/a/b:w", "/a:b:r"]) assert.ok(isPathRule(rule), rule)
  for (const rule of ["jobs:r", "/jobs", "/jobs:x", "/a//b:r", "/a/:r", ":r", "/a b:r", ""]) {
    assert.ok(!isPathRule(rule), rule)
  }
})

test("a rule holds for its path and what is below, not for names that begin alike", () => {
  const rules = ["/jobs:r", "/team/out:w"]
  assert.ok(allowsPath(rules, "/jobs", "receive") && allowsPath(rules, "/jobs/deep/er", "receive"))
  assert.ok(!allowsPath(rules, "/jobs", "send") && !allowsPath(rules, "/jobsx", "receive"))
  assert.ok(allowsPath(rules, "/team/out", "send") && !allowsPath(rules, "/team", "send"))
  assert.ok(allowsPath(["/:rw"], "/anything", "send") && allowsPath(undefined, "/anything", "send"))
  assert.ok(!allowsPath([], "/anything", "send"))
})

test("what leads to something allowed can be passed", () => {
  const rules = ["/team/out:w"]
  for (const path of ["/", "/team", "/team/out", "/team/out/x"]) assert.ok(leadsToAllowed(rules, path), path)
  for (const path of ["/te", "/jobs", "/team/outer"]) assert.ok(!leadsToAllowed(rules, path), path)
})
