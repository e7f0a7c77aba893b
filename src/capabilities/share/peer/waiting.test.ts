import assert from "node:assert/strict"
import { test } from "node:test"
import { waitsFor } from "./waiting.ts"
import type { WaitingFacts } from "./waiting.ts"

const facts: WaitingFacts = {
  phase: "fetching",
  isUp: true,
  downReason: undefined,
  nowhere: undefined,
  nowhereFiles: undefined,
  backlogBytes: 0,
  missing: 3,
  hasRelayPath: true,
  corruptChunks: 0,
}

test("what is waited for is said in words", () => {
  const said = (more: Partial<WaitingFacts>) => waitsFor({ ...facts, ...more })
  const nowhere = (...ranges: [number, number][]) => said({ nowhere: { ranges, more: 0 } })
  assert.equal(said({ isUp: false }), "the relay")
  assert.equal(said({ isUp: false, downReason: "no route" }), "the relay, which is tried again: no route")
  assert.equal(said({ phase: "joining" }), "the sender: nothing is published yet")
  assert.match(nowhere([17, 17]), /whoever has chunk 17: nobody/)
  assert.match(nowhere([17, 20]), /whoever has chunks 17-20: nobody/)
  assert.match(nowhere([1, 1], [3, 4], [9, 9]), /chunks 1, 3-4 and 9:/)
  assert.match(said({ nowhere: { ranges: [[1, 1]], more: 40 } }), /chunks 1 and 40 more:/)
  const files = (...bytes: number[]) =>
    bytes.map((each, at) => ({ path: "abc"[at] as string, bytes: each, ofBytes: each }))
  assert.equal(
    said({ nowhere: { ranges: [[1, 1]], more: 40 }, nowhereFiles: { files: files(5), moreFiles: 0, bytes: 5 } }),
    "the sender, or whoever has it: parts of a (5 B) are with nobody who is here",
  )
  assert.match(
    said({ nowhereFiles: { files: files(5, 2048, 1), moreFiles: 1, bytes: 5000 } }),
    /parts of a \(5 B\), b \(2\.0 KiB\), c \(1 B\) and 1 more file are with nobody who is here$/,
  )
  assert.equal(said({ hasRelayPath: false }), "a path to the relay for 3 chunks")
  assert.equal(said({ missing: 1 }), "1 chunk from others")
  assert.match(said({ corruptChunks: 2 }), /a true copy of 3 chunks/)
  assert.match(said({ backlogBytes: 4096 }), /the disk: 4 KiB/)
})
