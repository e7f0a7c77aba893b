/** What a sender gives: the table, the manifest's chunks and a reader behind both. Files of Node or of a page stand behind it. */

import type { ChunkTable } from "./chunk-table.ts"
import type { Holdings } from "../peer/holdings.ts"
import type { Manifest } from "./manifest.ts"

/** One version, ready to be published; its holdings are full. */
export interface Content extends Holdings {
  readonly table: ChunkTable
  readonly manifest: Manifest
  /** Lets go of files and memory. */
  close(): Promise<void>
}
