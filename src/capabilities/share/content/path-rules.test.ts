import assert from "node:assert/strict"
import { posix } from "node:path"
import { test } from "node:test"
import fc from "fast-check"
import { comparePaths, isPath, isSegment, normalTarget, sortEntries } from "./path-rules.ts"

const order = (...paths: string[]): string[] => sortEntries(paths.map((path) => ({ path }))).map(({ path }) => path)

test("a path is made of names", () => {
  for (const good of ["a", "a/b", "...", "a b", ".hidden", "a\\b", "é/\udcff"]) assert.ok(isPath(good), good)
  for (const bad of ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "./a", "a/./b", "a\0"])
    assert.ok(!isPath(bad), bad)
  assert.ok(!isSegment("a/b"))
})

test("what is in a folder follows it at once", () => {
  assert.deepEqual(order("a-b", "a/x", "a", "a/x/y", "a/x!"), ["a", "a/x", "a/x/y", "a/x!", "a-b"])
})

test("the order is that of bytes, not of UTF-16", () => {
  assert.deepEqual(order("\u{1f600}", "\uff5e", "z", "\udcff"), ["z", "\uff5e", "\u{1f600}", "\udcff"])
})

test("the order is one", () => {
  const path = fc.uint8Array({ maxLength: 4 })
  fc.assert(
    fc.property(path, path, path, (a, b, c) => {
      assert.equal(Math.sign(comparePaths(a, b)), -Math.sign(comparePaths(b, a)) + 0)
      assert.equal(comparePaths(a, b) === 0, Buffer.compare(a, b) === 0)
      if (comparePaths(a, b) < 0 && comparePaths(b, c) < 0) assert.ok(comparePaths(a, c) < 0)
    }),
  )
})

test("the target of a link is kept while it stays inside", () => {
  const cases: [string, string, string | undefined][] = [
    ["a", "b", "b"],
    ["a", "./b//c/", "b/c"],
    ["a", ".", "."],
    ["a", "..", undefined],
    ["a", "b/../..", undefined],
    ["a", "b/../c", "c"],
    ["d/a", "../b", "../b"],
    ["d/a", "..", ".."],
    ["d/a", "../..", undefined],
    ["d/e/a", "../../x/../y", "../../y"],
    ["a", "/etc/passwd", undefined],
    ["a", "", undefined],
    ["a", "b\0", undefined],
  ]
  for (const [path, target, normal] of cases) assert.equal(normalTarget(path, target), normal, `${path} → ${target}`)
})

test("no way through links, however they lead to each other, leaves what is shared", () => {
  const name = fc.constantFrom("a", "b", "c")
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"))
  const target = fc.array(fc.constantFrom("a", "b", "c", "..", "."), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(fc.tuple(path, target)), path, (given, start) => {
      const links = new Map<string, string>()
      for (const [at, parts] of given) {
        const normal = normalTarget(at, parts.join("/"))
        const below = [...links.keys()].some((other) => at.startsWith(`${other}/`) || other.startsWith(`${at}/`))
        if (normal !== undefined && !below) links.set(at, normal)
      }
      // As a kernel walks: every name is looked up where the walk really is.
      let here: string[] = []
      let todo = start.split("/")
      for (let steps = 0; todo.length > 0 && steps < 200; steps++) {
        const [next, ...rest] = todo as [string, ...string[]]
        todo = rest
        if (next === ".") continue
        if (next === "..") {
          assert.ok(here.length > 0, "it left")
          here = here.slice(0, -1)
          continue
        }
        const link = links.get([...here, next].join("/"))
        if (link === undefined) here = [...here, next]
        else todo = [...link.split("/"), ...todo]
      }
    }),
    { numRuns: 2000 },
  )
})

test("a normal target is normal", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("a", "d/a", "d/e/a"),
      fc.array(fc.constantFrom("x", "y", "..", ".", "")).map((parts) => parts.join("/")),
      (path, target) => {
        const normal = normalTarget(path, target)
        if (normal === undefined) return
        assert.equal(normalTarget(path, normal), normal)
        assert.equal(posix.normalize(normal), posix.normalize(target).replace(/\/$/, ""))
      },
    ),
  )
})
