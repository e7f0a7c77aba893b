import assert from "node:assert/strict"
import { test } from "node:test"
import type { Entry } from "../content/manifest.ts"
import { checkNames, doubtfulNames } from "./name-check.ts"
import type { NameRules } from "./name-check.ts"

const linux: NameRules = { platform: "linux", foldsCase: false, folderBytes: 20 }
const file = (path: string): Entry => ({ type: "file", path, size: 0 })

test("names that Windows keeps for itself, or cannot have, are refused there alone", () => {
  const names = ["NUL", "con.txt", "aux .c", "COM1", "lpt9.log", "a:b", "what?", "end.", "end ", "tab\t", "back\\slash"]
  for (const name of [...names, "sub/nul/x"]) {
    const entries = [file(name)]
    checkNames("top", entries, linux)
    assert.throws(() => checkNames("top", entries, { ...linux, platform: "win32" }), { code: "usage" }, name)
  }
  for (const name of ["console", "nullable.txt", "com", "COM10", ".hidden", "a.b.c"]) {
    checkNames("top", [file(name)], { ...linux, platform: "win32" })
  }
})

test("names that differ in case alone are refused where they are one name, with both of them", () => {
  const entries = [file("Read"), file("sub/x"), file("read")]
  checkNames("top", entries, linux)
  assert.throws(() => checkNames("top", entries, { ...linux, foldsCase: true }), {
    code: "usage",
    message: /Read and read/,
  })
  const forms = [file("\u00e4"), file("a\u0308")]
  assert.throws(() => checkNames("top", forms, { ...linux, foldsCase: true }), { code: "usage" })
})

test("names and paths that are too long are refused, counted in bytes", () => {
  checkNames("top", [file("x".repeat(255))], linux)
  assert.throws(() => checkNames("top", [file("x".repeat(256))], linux), { code: "usage" })
  assert.throws(() => checkNames("top", [file("ä".repeat(128))], linux), { code: "usage" })
  checkNames("top", [file("ä".repeat(128))], { ...linux, platform: "win32" })
  const deep = Array.from({ length: 40 }, () => "x".repeat(100)).join("/")
  assert.throws(() => checkNames("top", [file(deep)], { ...linux, folderBytes: 100 }), {
    code: "usage",
    message: /too long/,
  })
})

test("no name leads out of its folder", () => {
  for (const path of ["..", "a/../b", "/a", "a/", "a//b", ".", "a\0b", ""]) {
    const entries = [file(path), file("z")]
    assert.throws(() => checkNames("top", entries, linux), { code: "protocol" }, JSON.stringify(path))
  }
  for (const name of ["..", ".", "", "a/b", "a\0"])
    assert.throws(() => checkNames(name, [], linux), { code: "protocol" })
})

test("the longest name and one that is no text are worth a try", () => {
  assert.deepEqual(doubtfulNames([file("a/b"), file("c")]), [])
  assert.deepEqual(doubtfulNames([file(`a/${"x".repeat(200)}`), file("\udcff")]), ["x".repeat(200), "\udcff"])
})
