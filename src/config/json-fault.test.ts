import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { jsonFault } from "./json-fault.ts"

/** `line:column: what: mend`. */
function told(text: string): string | undefined {
  const fault = jsonFault(text)
  if (fault === undefined) return undefined
  const before = text.slice(0, fault.at).split("\n")
  return `${before.length}:${(before.at(-1) ?? "").length + 1}: ${fault.what}: ${fault.mend}`
}

test("each fault is told in JSON's words, where it is", () => {
  const cases: readonly (readonly [text: string, line: string])[] = [
    ['{"a": 1\n "b": 2}', '1:8: a comma is missing here: put one before "b"'],
    ["[1 2]", '1:3: a comma is missing here: put one before "2"'],
    ['{"a": [1, 2,\n]}', '1:12: there is a comma before the "]": leave the comma out'],
    ['{"a": 1,}', '1:8: there is a comma before the "}": leave the comma out'],
    ["[,1]", "1:2: there is nothing before the comma: leave the comma out"],
    ["[1,,1]", "1:4: there is nothing before the comma: leave the comma out"],
    [
      '{"a": [1, 2}',
      '1:12: the "}" stands where the "[" of line 1 is to be closed: put a "]" before it, or instead of it',
    ],
    ['{\n "a": [1, 2]\n', '1:1: the "{" that stands here is not closed: put a "}" behind its last value'],
    ['{"apps": [', '1:10: the "[" that stands here is not closed: put a "]" behind its last value'],
    ['{"a": 1}}', '1:9: "}" stands behind the end of it: leave it out, or look for a bracket too many'],
    ['{"a" 1}', '1:5: there is no colon behind the key "a": write "key": value'],
    ['{"a": }', '1:2: the key "a" has no value: write one'],
    ['{"a":', '1:2: the key "a" has no value: write one'],
    ["{a: 1}", '1:2: the key "a" is not in double quotes: write "key": value'],
    ["{'a': 1}", '1:2: JSON has no single quotes: write " instead'],
    ['{"a": yes}', '1:7: "yes" is not in double quotes: put it in double quotes'],
    ['{"a": True}', '1:7: "True" is written in lower case: write true'],
    ['{"a": 0x10}', '1:7: "0x10" is no number in JSON: write digits, such as 8 or 0.5, or put it in quotes'],
    ['{"a": .5}', '1:7: ".5" is no number in JSON: write digits, such as 8 or 0.5, or put it in quotes'],
    ['{"a": 10MB}', '1:7: "10MB" is no number in JSON: write digits, such as 8 or 0.5, or put it in quotes'],
    ['{"a": "b\n}', '1:7: the text that begins here is not closed in its line: put a " behind it'],
    ['{"a": "C:\\dir"}', "1:10: a backslash stands before what it cannot stand before: write \\\\ for a backslash"],
    ['{"a": "b\tc"}', "1:9: a tab or another control character stands in a text: write it as \\t or \\u001b"],
    ["// x\n{}", "1:1: JSON has no comments: leave it out, or write YAML and name the file .yaml"],
    ["", "1:1: the file ends before there is a value: write one"],
  ]
  for (const [text, line] of cases) assert.equal(told(text), line, text)
})

test("what JSON.parse takes has no fault, and what it does not take has one", () => {
  const parses = (text: string) => {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }
  const whole = fc.json({ maxDepth: 4 })
  fc.assert(fc.property(whole, (text) => assert.equal(jsonFault(text), undefined)))
  const broken = fc.tuple(
    whole,
    fc.nat(),
    fc.nat(3),
    fc.constantFrom("", ",", '"', "}", "]", "{", "[", ":", "0", "\\", "e", "-", "tru", " "),
  )
  fc.assert(
    fc.property(broken, ([text, at, drop, more]) => {
      const from = at % (text.length + 1)
      const changed = `${text.slice(0, from)}${more}${text.slice(from + drop)}`
      assert.equal(jsonFault(changed) === undefined, parses(changed), changed)
    }),
    { numRuns: 2_000 },
  )
})

test("a text that is nested beyond all measure is somebody else's to tell", () => {
  assert.equal(jsonFault("[".repeat(100_000)), undefined)
})
