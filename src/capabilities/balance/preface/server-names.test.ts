import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { ServerNames } from "./server-names.ts"

test("the most specific pattern counts, in whatever order they stand", () => {
  const patterns = ["*.test", "*.shop.test", "shop.test", "eu.shop.test", "*.eu.shop.test"]
  fc.assert(
    fc.property(fc.shuffledSubarray(patterns, { minLength: patterns.length }), (order) => {
      const names = new ServerNames(order.map((pattern) => [pattern, pattern] as const))
      assert.equal(names.find("eu.shop.test"), "eu.shop.test")
      assert.equal(names.find("a.eu.shop.test"), "*.eu.shop.test")
      assert.equal(names.find("a.b.shop.test"), "*.shop.test")
      assert.equal(names.find("shop.test"), "shop.test")
      assert.equal(names.find("other.test"), "*.test")
      assert.equal(names.find("test"), undefined)
      assert.equal(names.find(".test"), undefined)
      assert.equal(names.find("example.org"), undefined)
      assert.equal(names.find(undefined), undefined)
    }),
  )
})

test("the rest, and who names nothing, goes to the one who takes all others", () => {
  const names = new ServerNames([["a.test", 1]], 9)
  assert.equal(names.find("a.test"), 1)
  assert.equal(names.find("b.test"), 9)
  assert.equal(names.find(undefined), 9)
})

test("letters of either case and beyond ASCII are the same name", () => {
  const names = new ServerNames([
    ["Straße.Test", 1],
    ["*.BÜCHER.test", 2],
  ])
  assert.equal(names.find("xn--strae-oqa.test"), 1)
  assert.equal(names.find("a.xn--bcher-kva.test"), 2)
})
