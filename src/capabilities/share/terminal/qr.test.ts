import assert from "node:assert/strict"
import { test } from "node:test"
import { encode } from "uqr"
import { qrLines } from "./qr.ts"

const link = "https://relay.example.test/share/482713#lusab-babad-gutih-tugad-mudof"

/** What a camera sees: true is dark. */
function modulesOf(lines: readonly string[], coloured: boolean): boolean[][] {
  return lines.flatMap((line) => {
    const characters = line.replaceAll(/\u001b\[[\d;]*m/g, "").split("")
    return ["▀█", "▄█"].map((inked) => characters.map((each) => inked.includes(each) === coloured))
  })
}

test("both ways of drawing show the code that was encoded, with its margin", () => {
  const { data, size } = encode(link, { ecc: "L", border: 2 })
  for (const coloured of [true, false]) {
    const lines = qrLines(link, { columns: 80, coloured }) as string[]
    assert.deepEqual(modulesOf(lines, coloured).slice(0, size), data)
    assert.ok(lines.length <= 24)
  }
})

test("a code that does not fit is left out", () => {
  assert.equal(qrLines(link, { columns: 30, coloured: true }), undefined)
})
