/**
 * How large chunks are: small enough that many receivers can complete each other early, large enough that their hashes, messages
 * and system calls cost little. A table stays within about a hundred thousand chunks as long as the largest size allows it.
 */

import { largestChunk } from "./chunk-crypto.ts"

const kib = 1024
const mib = 1024 * kib

/** Up to so many bytes in all → bytes of a chunk. */
const steps: readonly (readonly [number, number])[] = [
  [16 * mib, 64 * kib],
  [64 * mib, 128 * kib],
  [256 * mib, 256 * kib],
  [1024 * mib, 512 * kib],
]

/** Bytes of a chunk where all have the same size: 64 KiB to 1 MiB. */
export function chunkSizeFor(totalBytes: number): number {
  return steps.find(([most]) => totalBytes <= most)?.[1] ?? largestChunk
}

/** Of chunks that the content itself delimits. Bytes. */
export interface ChunkBounds {
  readonly min: number
  readonly average: number
  readonly max: number
}

/**
 * Bounds for content-defined chunks. Whoever shares new versions keeps those of the first one: other bounds would cut
 * everything anew.
 */
export function chunkBoundsFor(totalBytes: number): ChunkBounds {
  // A change costs the chunks that it touches, so these are smaller than chunks of a fixed size.
  const average = Math.min(256 * kib, Math.max(64 * kib, chunkSizeFor(totalBytes) / 4))
  return { min: average / 4, average, max: average * 4 }
}
