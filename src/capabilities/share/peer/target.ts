/** Where a receiver puts what it gets: a folder, a page's storage. Nothing of it is seen under its name before it is whole. */

import type { ChunkCrypto } from "../content/chunk-crypto.ts"
import type { ChunkTable } from "../content/chunk-table.ts"
import type { Manifest } from "../content/manifest.ts"
import type { Holdings } from "./holdings.ts"

export interface Target {
  /**
   * Looks at what is there, of an interrupted run or an older version, and says so by `have`. The chunks of the manifest
   * (the table's first) are not its business: they are in `have` and nobody asks for them. Rejects `exists` (another file
   * has the name), `forbidden`, `limit` (no room), `usage` (a name that cannot be here).
   */
  open(version: TargetVersion): Promise<TargetHoldings>
}

export interface TargetVersion {
  readonly table: ChunkTable
  readonly manifest: Manifest
  readonly crypto: ChunkCrypto
}

export interface TargetHoldings extends Holdings {
  /** Bytes of content that were there already. */
  readonly foundBytes: number
  /** Everything is there: puts it in its place at once. Rejects as `open` and `store` do; what was stored stays. */
  finish(): Promise<Finished>
  /** Keeps what is there for another run. */
  close(): Promise<void>
  /** Forgets it. */
  discard(): Promise<void>
}

export interface Finished {
  /** Where it is, for people. */
  readonly place: string
  readonly files: number
  readonly bytes: number
  /** What could not be kept and does no harm: a mode, a symlink that leaves the folder. */
  readonly remarks: readonly string[]
}
