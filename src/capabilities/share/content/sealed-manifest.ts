/**
 * The manifest as the first chunks of its own table. It is sealed under keys that follow from a random salt in front of the first
 * chunk, the number of chunks and the place of each: two versions that differ in one file name have nothing in common, and
 * nothing can be left out or change places.
 *
 * first chunk: salt, 32 bytes | sealed part; the others: sealed part. Parts of 256 KiB, the last one shorter.
 */

import { concat, randomBytes } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { utf8Encode } from "../../../base/text.ts"
import { sealBytes } from "./chunk-crypto.ts"
import type { ChunkCrypto } from "./chunk-crypto.ts"
import { manifestPartBytes, manifestSaltBytes, mostManifestChunks } from "./chunk-table.ts"
import { decodeManifest, encodeManifest } from "./manifest-codec.ts"
import type { Manifest } from "./manifest.ts"

/**
 * The chunks, ready for the table. `salt`, for tests, has never been used before. Throws `protocol` when the manifest breaks a
 * rule, `too_large`.
 */
export async function sealManifest(
  manifest: Manifest,
  crypto: ChunkCrypto,
  salt: Uint8Array = randomBytes(manifestSaltBytes),
): Promise<Uint8Array[]> {
  const bytes = encodeManifest(manifest)
  const count = Math.ceil(bytes.length / manifestPartBytes)
  const chunks: Uint8Array[] = []
  for (let index = 0; index < count; index++) {
    const part = bytes.subarray(index * manifestPartBytes, (index + 1) * manifestPartBytes)
    const sealed = await crypto.seal(part, seed(salt, count, index))
    chunks.push(index === 0 ? concat([salt, sealed]) : sealed)
  }
  return chunks
}

/** `chunks` are the table's first `manifestChunks`. Throws `corrupt` when they do not open, `protocol` when they hold no manifest. */
export async function openManifest(chunks: readonly Uint8Array[], crypto: ChunkCrypto): Promise<Manifest> {
  const [first] = chunks
  if (first === undefined || first.length < manifestSaltBytes + sealBytes || chunks.length > mostManifestChunks) {
    throw new RdvError("protocol", "This is no manifest")
  }
  const salt = first.subarray(0, manifestSaltBytes)
  const parts: Uint8Array[] = []
  for (const [index, chunk] of chunks.entries()) {
    parts.push(
      await crypto.open(index === 0 ? chunk.subarray(manifestSaltBytes) : chunk, seed(salt, chunks.length, index)),
    )
  }
  return decodeManifest(concat(parts))
}

/** Stands where chunks of content have their identity. It is longer than any of these, so that the two never meet. */
function seed(salt: Uint8Array, count: number, index: number): Uint8Array {
  const numbers = new Uint8Array(8)
  const view = new DataView(numbers.buffer)
  view.setUint32(0, count)
  view.setUint32(4, index)
  return concat([utf8Encode("rdv/share/1 manifest"), salt, numbers])
}
