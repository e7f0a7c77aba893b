/** What a member has of one version: behind it stand files, a page's storage, or memory. */

import type { Bitmap } from "../content/bitmap.ts"
import type { Soon } from "../content/chunk-crypto.ts"

export interface Holdings {
  /** Over all chunks of the table; whoever stores adds to it. */
  readonly have: Bitmap
  /**
   * The sealed bytes of a chunk that is there. Rejects `corrupt` when the file behind it has changed, and then `have` lacks it;
   * `would_block` when it is there and can be read later only. `into` is memory of exactly its length, until the answer is
   * there: the answer is that memory when it was used, so that it can be used again, and else something to be left alone.
   */
  read(chunk: number, into?: Uint8Array): Soon<Uint8Array>
  /**
   * Keeps a chunk whose hash was checked; done when it is written. `sealed` may change afterwards. Rejects `limit` (disk
   * full), `forbidden`, `corrupt` (it does not open: the table lies).
   */
  store(chunk: number, sealed: Uint8Array): Soon<void>
}
