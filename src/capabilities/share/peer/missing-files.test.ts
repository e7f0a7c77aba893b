import assert from "node:assert/strict"
import { test } from "node:test"
import type { Manifest } from "../content/manifest.ts"
import { missingFiles } from "./missing-files.ts"

const manifest = (files: readonly [path: string, size: number][], pieces: readonly [number | "zeros", number][]) =>
  ({
    name: "tree",
    entries: [
      { type: "folder", path: "" },
      ...files.map(([path, size]) => ({ type: "file" as const, path, size })),
      { type: "symlink", path: "z", target: "a" },
    ],
    pieces: pieces.map(([chunk, length]) => ({ chunk, length, identity: new Uint8Array(32) })),
  }) satisfies Manifest

test("pieces that reach over files, holes, empty files and equal pieces are told apart", () => {
  const tree = manifest(
    [
      ["a", 150],
      ["empty", 0],
      ["b", 50],
      ["hole", 300],
      ["c", 100],
    ],
    [
      [1, 100],
      [2, 100],
      ["zeros", 300],
      [1, 100],
    ],
  )
  const missing = (...chunks: number[]) => missingFiles(tree, (chunk) => chunks.includes(chunk))
  assert.deepEqual(missing(), { files: [], moreFiles: 0, bytes: 0 })
  assert.deepEqual(missing(2), {
    files: [
      { path: "a", bytes: 50, ofBytes: 150 },
      { path: "b", bytes: 50, ofBytes: 50 },
    ],
    moreFiles: 0,
    bytes: 100,
  })
  assert.deepEqual(missing(1), {
    files: [
      { path: "a", bytes: 100, ofBytes: 150 },
      { path: "c", bytes: 100, ofBytes: 100 },
    ],
    moreFiles: 0,
    bytes: 200,
  })
})

test("three files are named, the others counted, and a file alone has the name of all", () => {
  const many = manifest(
    ["a", "b", "c", "d", "e"].map((path) => [path, 10]),
    [[7, 50]],
  )
  const { files, moreFiles, bytes } = missingFiles(many, () => true)
  assert.deepEqual([files.map(({ path }) => path), moreFiles, bytes], [["a", "b", "c"], 2, 50])
  const alone: Manifest = { name: "big.iso", entries: [{ type: "file", path: "", size: 5 }], pieces: many.pieces }
  assert.deepEqual(missingFiles(alone, () => true).files, [{ path: "big.iso", bytes: 5, ofBytes: 5 }])
})
