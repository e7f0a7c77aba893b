/** One version of a swarm as a member works on it. */

import type { ChunkTable } from "../content/chunk-table.ts"
import type { Holdings } from "./holdings.ts"

export interface LocalVersion {
  /** 1 and up. */
  readonly number: number
  readonly table: ChunkTable
  readonly holdings: Holdings
  /** Whether a chunk that it lacks can be kept now; before its target is open a receiver has room for a few. */
  readonly accepts: (chunk: number) => boolean
}

/** What travels of a version's number with each chunk. */
export function shortVersion(version: number): number {
  return version & 0xffff
}
