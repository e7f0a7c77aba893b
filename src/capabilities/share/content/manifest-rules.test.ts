import assert from "node:assert/strict"
import { test } from "node:test"
import { largestChunk } from "./chunk-crypto.ts"
import { ChunkTable } from "./chunk-table.ts"
import type { Entry, Manifest, Piece } from "./manifest.ts"
import { checkManifest, checkShape } from "./manifest-rules.ts"
import { portableHash } from "./portable-crypto.ts"

const zeros = (length: number): Piece => ({ chunk: "zeros", length, identity: new Uint8Array(0) })
const piece = (chunk: number, length: number, mark = chunk): Piece => ({
  chunk,
  length,
  identity: new Uint8Array(32).fill(mark),
})
const file = (path: string, size = 0): Entry => ({ type: "file", path, size })
const folder = (path: string): Entry => ({ type: "folder", path })
const link = (path: string, target: string): Entry => ({ type: "symlink", path, target })
const manifest = (entries: Entry[], pieces: Piece[] = [], name = "name"): Manifest => ({ name, entries, pieces })

const refused: [string, Manifest, RegExp][] = [
  ["an empty name", manifest([], [], ""), /the name ""/],
  ["a name that leads out", manifest([], [], ".."), /the name "\.\."/],
  ["a name with a slash", manifest([], [], "a/b"), /the name "a\/b"/],
  ["a name that is too long", manifest([], [], "a".repeat(5000)), /the name "a+…"/],
  ["an absolute path", manifest([file("/etc/passwd")]), /entry "\/etc\/passwd"/],
  ["a path that leads out", manifest([file("a/../../b")]), /entry/],
  ["a path with NUL", manifest([file("a\0b")]), /entry "a\\u0000b"/],
  ["a path that is too long", manifest([file("a/".repeat(2100) + "b")]), /entry/],
  ["a path without bytes", manifest([file("\ud800")]), /entry/],
  ["an empty path beside others", manifest([file(""), file("a")]), /entry ""/],
  ["a folder without a path behind others", manifest([folder(""), folder("")]), /entry ""/],
  ["a file without a path among others", manifest([file(""), file("a")]), /entry ""/],
  ["a link without a path", manifest([link("", "a")]), /entry ""/],
  ["the same path twice", manifest([file("a"), folder("a")]), /two entries "a"/],
  ["an order that is not theirs", manifest([file("b"), file("a")]), /out of order at "a"/],
  [
    "an order of UTF-8 without the slash first",
    manifest([folder("a"), file("a-b"), file("a/x")]),
    /out of order at "a\/x"/,
  ],
  ["a file below a file", manifest([file("a"), file("a/b")]), /"a\/b" below what is no folder/],
  ["a file far below a link", manifest([link("a", "b"), file("a/b/c")]), /below what is no folder/],
  ["a link that leads out", manifest([link("a", "../b")]), /link "a" .* leads to "\.\.\/b"/],
  ["a link that is not normal", manifest([link("a", "b/../c")]), /leads to "b\/\.\.\/c"/],
  ["an absolute link", manifest([link("a", "/b")]), /leads to "\/b"/],
  ["a link to nowhere", manifest([link("a", "")]), /leads to ""/],
  ["a link that is too long", manifest([link("a", "b/".repeat(2100) + "b")]), /leads to/],
  [
    "a mode with more than permissions",
    manifest([{ type: "file", path: "a", size: 0, mode: 0o4755 }]),
    /impossible mode/,
  ],
  ["a time that is none", manifest([{ type: "folder", path: "a", mtimeMs: Number.NaN }]), /impossible time/],
  ["a time with a fraction", manifest([{ type: "folder", path: "a", mtimeMs: 0.5 }]), /impossible time/],
  ["a negative size", manifest([file("a", -1)]), /impossible size/],
  ["fewer pieces than content", manifest([file("a", 10)], [piece(1, 9)]), /files have 10 bytes and its pieces 9/],
  [
    "sizes beyond what numbers hold",
    manifest([file("a", 2 ** 53 - 1), file("b", 1)], [zeros(2 ** 53 - 1), zeros(1)]),
    /bytes/,
  ],
  ["an empty piece", manifest([file("a", 1)], [piece(1, 1), piece(2, 0)]), /Piece 1 .* length/],
  [
    "a piece that is too long",
    manifest([file("a", largestChunk + 1)], [piece(1, largestChunk + 1)]),
    /Piece 0 .* too long/,
  ],
  [
    "zeros with an identity",
    manifest([file("a", 1)], [{ ...piece(1, 1), chunk: "zeros" }]),
    /zeros and has an identity/,
  ],
  ["a piece without an identity", manifest([file("a", 1)], [{ ...zeros(1), chunk: 1 }]), /malformed identity/],
  ["a piece of no chunk", manifest([file("a", 1)], [piece(-1, 1)]), /names no chunk/],
]

for (const [name, wrong, message] of refused) {
  test(`refused: ${name}`, () => assert.throws(() => checkShape(wrong), { code: "protocol", message }))
}

test("what the rules are meant for passes", () => {
  checkShape(manifest([]))
  checkShape(manifest([file("", 3)], [zeros(3)]))
  checkShape(manifest([folder("")]))
  checkShape(manifest([folder(""), file("a")]))
  checkShape(manifest([file("dir/a"), link("dir/b", "../dir/a"), file("dir-2/...")]))
  checkShape(manifest([{ type: "file", path: "a", size: 2 ** 40, mode: 0, mtimeMs: -1 }], [zeros(2 ** 40)]))
})

const rows = [50, 116, 216]
const table = ChunkTable.build({
  version: 1,
  hash: portableHash("sha256"),
  manifestChunks: 1,
  chunks: rows.map((length, index) => ({ length, hash: new Uint8Array(32).fill(index) })),
})
const of = (...pieces: Piece[]): Manifest =>
  manifest(
    [
      file(
        "a",
        pieces.reduce((sum, { length }) => sum + length, 0),
      ),
    ],
    pieces,
  )

test("a manifest fits its table in any order, with chunks that come again", () => {
  checkManifest(of(piece(2, 200), zeros(7), piece(1, 100), piece(2, 200)), table)
})

test("a manifest that does not fit its table is refused", () => {
  const cases: [Manifest, RegExp][] = [
    [of(piece(1, 100)), /chunks that the manifest does not name/],
    [of(piece(1, 100), piece(2, 200), piece(3, 1)), /chunk 3, which is none/],
    [of(piece(1, 100), piece(2, 200), piece(0, 34)), /chunk 0, which is none/],
    [of(piece(1, 100), piece(2, 199)), /Chunk 2 has another length/],
    [of(piece(1, 100), piece(2, 200), piece(1, 100, 9)), /Chunk 1 has two identities/],
  ]
  for (const [wrong, message] of cases) {
    checkShape(wrong)
    assert.throws(() => checkManifest(wrong, table), { code: "protocol", message })
  }
})
