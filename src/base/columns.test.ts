import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { clip, columnsOf, printable, tableLines, wrap } from "./columns.ts"

test("nothing that a stranger wrote commands the terminal or turns the line", () => {
  assert.equal(printable("a\u001b[31mb\nc\u202ed\u0000"), "a?[31mb?c?d?")
})

test("wide characters take two columns, combining marks none", () => {
  assert.equal(columnsOf("日本 e\u0301 🚀"), 4 + 1 + 1 + 1 + 2)
})

test("clipped text never needs more columns than it was given, and says that it was cut", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, columns) => {
      const kept = clip(text, columns)
      assert.ok(columnsOf(kept) <= columns)
      if (columnsOf(text) <= columns) assert.equal(kept, text)
      else assert.ok(kept.endsWith("…"))
    }),
  )
})

test("wrapped text keeps its words and its width", () => {
  const words = "the generator started many messages late".split(" ")
  const lines = wrap(words.join(" "), 14)
  assert.deepEqual(lines.join(" ").split(" "), words)
  assert.ok(lines.every((line) => line.length <= 14))
})

test("decimal points stand below each other", () => {
  const lines = tableLines(
    [
      ["a", "ms"],
      ["x", "1.25"],
      ["y", "1,234"],
      ["z", "12.5"],
    ],
    ["left", "decimal"],
  )
  assert.deepEqual(lines, ["a         ms", "x       1.25", "y   1,234", "z      12.5"])
})
