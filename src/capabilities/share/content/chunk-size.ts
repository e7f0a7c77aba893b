/**
 * How large chunks are: small enough that many receivers can complete each other early, large enough that their hashes, messages
 * and system calls cost little. `mostChunks` of `chunk-table.ts` is the end of what can be shared.
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
  const average = contentSteps.find(([most]) => totalBytes <= most)?.[1] ?? largestChunk / 2
  return { min: average / 4, average, max: Math.min(largestChunk, average * 4) }
}

const contentSteps: readonly (readonly [number, number])[] = [
  [512 * mib, 64 * kib],
  [2048 * mib, 128 * kib],
  [32 * 1024 * mib, 256 * kib],
]
