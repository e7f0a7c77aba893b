import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../base/error.ts"
import { checkName, nameWords, pickName } from "./names.ts"

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

function mendOf(name: string): string {
  try {
    checkName(name)
  } catch (error) {
    assert.ok(error instanceof RdvError && error.code === "usage" && error.mend !== undefined)
    assert.doesNotMatch(error.message + error.mend, /[\u0000-\u001f\u007f]/)
    return error.mend
  }
  return assert.fail(`${name} should be refused`)
}

test("both lists hold at least 200 different words in plain lower case", () => {
  for (const list of Object.values(nameWords)) {
    assert.ok(list.length >= 200, String(list.length))
    assert.equal(new Set(list).size, list.length, list.filter((word, at) => list.indexOf(word) !== at).join())
    for (const word of list) assert.match(word, /^[a-z]{2,12}$/)
  }
})

test("a picked name is always one that is allowed", () => {
  fc.assert(
    fc.property(fraction, fraction, fraction, fc.nat(10), (a, b, c, attempt) => {
      const values = [a, b, c]
      const name = pickName(() => values.shift() as number, attempt)
      assert.match(
        name,
        attempt === 0 ? /^[a-z]+-[a-z]+$/ : attempt < 4 ? /^[a-z]+-[a-z]+-\d\d$/ : /^[a-z]+-[a-z]+-\d{4}$/,
      )
      assert.equal(checkName(name), name)
    }),
  )
})

test("names are taken in their one spelling", () => {
  for (const [wanted, name] of [
    ["blog", "blog"],
    ["Blog", "blog"],
    ["3000", "3000"],
    ["a", "a"],
    ["a--b", "a--b"],
    ["team-x-1", "team-x-1"],
    ["x".repeat(63), "x".repeat(63)],
    ["xn--bcher-kva", "xn--bcher-kva"],
  ] as const) {
    assert.equal(checkName(wanted), name)
  }
})

test("whatever else is refused with the mend", () => {
  const cases: [string, RegExp][] = [
    ["", /leave the name out/],
    ["x".repeat(64), /63 are allowed/],
    ["-a", /leave that hyphen out/],
    ["a-", /leave that hyphen out/],
    ["blog.example.test", /first label only/],
    ["my blog", /for example my-blog$/],
    ["a_b", /for example a-b$/],
    ["bücher", /^write it as xn--bcher-kva$/],
    ["ab--cd", /leave one of them out/],
    ["xn--a", /its own letters/],
    ["xn--blog-", /hyphen/],
    ["xn--0", /its own letters/],
    ["*", /letters a-z/],
    ["a\u0000b", /for example a-b$/],
    ["a\u001b[31m", /letters a-z/],
    ["admin", /my-admin/],
    ["WPAD", /my-wpad/],
  ]
  for (const [name, mend] of cases) assert.match(mendOf(name), mend, name)
})

test("no text makes it throw anything but usage, and what it takes is a label", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: fc.constantFrom("x", "n", "-", "0", "ü") })),
      (wanted) => {
        try {
          assert.match(checkName(wanted), /^(?!-)[a-z0-9-]{1,63}(?<!-)$/)
        } catch (error) {
          assert.ok(error instanceof RdvError && error.code === "usage", String(error))
        }
      },
    ),
  )
})
