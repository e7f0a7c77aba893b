/** Manifests of all kinds, for tests. */

import fc from "fast-check"
import type { Entry, Manifest, Piece } from "../../src/capabilities/share/content/manifest.ts"
import { normalTarget, sortEntries } from "../../src/capabilities/share/content/path-rules.ts"

const someName = fc.oneof(
  fc.constantFrom("a", "b", "a-b", "é", "\udcff", "...", "long".repeat(60), "\u{1f600}"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 8 }).map((text) => `x${text.replaceAll(/[/\0]/g, "_")}`),
)
const someMeta = fc.record(
  { mode: fc.integer({ min: 0, max: 0o777 }), mtimeMs: fc.integer({ min: 1 - 2 ** 52, max: 2 ** 52 - 1 }) },
  { requiredKeys: [] },
)
const someEntry = fc
  .record({
    path: fc.array(someName, { minLength: 1, maxLength: 4 }).map((names) => names.join("/")),
    type: fc.constantFrom("file", "folder", "symlink"),
    size: fc.oneof(fc.constant(0), fc.nat({ max: 5_000_000 })),
    meta: someMeta,
    target: fc.array(fc.constantFrom("..", "a", "b"), { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
  })
  .map(({ path, type, size, meta, target }): Entry => {
    if (type === "file") return { type, path, size, ...meta }
    const normal = type === "symlink" ? normalTarget(path, target) : undefined
    return normal === undefined ? { type: "folder", path, ...meta } : { type: "symlink", path, target: normal }
  })

/** Sorted, without doubles and without anything below what is no folder. */
function tree(given: readonly Entry[]): Entry[] {
  const kept: Entry[] = []
  for (const entry of sortEntries(given)) {
    const before = kept.at(-1)
    if (before?.path === entry.path) continue
    if (before !== undefined && before.type !== "folder" && entry.path.startsWith(`${before.path}/`)) continue
    kept.push(entry)
  }
  return kept
}

/** Cuts so many bytes into chunks from 0 on, zeros, and chunks that were there before. */
function cut(total: number, sizes: readonly number[], kinds: readonly number[]): Piece[] {
  const pieces: Piece[] = []
  let chunk = 0
  for (let left = total, index = 0; left > 0; index++) {
    const length = Math.min(left, sizes[index % sizes.length] as number)
    const same = pieces.find((piece) => piece.chunk !== "zeros" && piece.length === length)
    const kind = kinds[index % kinds.length] as number
    if (kind === 0) pieces.push({ chunk: "zeros", length, identity: new Uint8Array(0) })
    else if (kind === 1 && same !== undefined) pieces.push(same)
    else pieces.push({ chunk: chunk++, length, identity: new Uint8Array(32).fill(chunk) })
    left -= length
  }
  return pieces
}

const someEntries = fc.oneof(
  { weight: 4, arbitrary: fc.array(someEntry, { maxLength: 8 }).map(tree) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat({ max: 3_000_000 }), someMeta)
      .map(([size, meta]): Entry[] => [{ type: "file", path: "", size, ...meta }]),
  },
)

export const someManifest: fc.Arbitrary<Manifest> = fc
  .tuple(
    someName,
    someEntries,
    fc.array(fc.integer({ min: 100_000, max: 1_048_576 }), { minLength: 1, maxLength: 3 }),
    fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 }),
  )
  .map(([name, entries, sizes, kinds]) => {
    const total = entries.reduce((sum, entry) => sum + (entry.type === "file" ? entry.size : 0), 0)
    return { name, entries, pieces: cut(total, sizes, kinds) }
  })
