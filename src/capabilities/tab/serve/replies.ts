/**
 * What a server needs to run a request with an `Idempotency-Key` once: a place where its answer is kept together with
 * its effects. The rows are the database's business.
 */

import type { Blobs } from "../app/blobs.ts"
import type { Sql } from "../app/sql.ts"

/** Bytes of an answer's body that are kept at most. */
export const storedBodyBytes: number = 256 * 1024

/** A whole answer. */
export interface StoredReply {
  readonly status: number
  /** Flat: name, value, name, value; `Set-Cookie` once for each cookie. */
  readonly headers: readonly string[]
  /** At most `storedBodyBytes`. */
  readonly body: Uint8Array
}

/** The data of an application within the transaction; after its end both answer as the ordinary ones do. */
export interface ReplyData {
  readonly sql: Sql
  readonly blobs: Blobs
}

export interface Replies {
  /**
   * The answer that is stored under this key, or the one that `run` gives, which is then stored: what `run` does by means
   * of `data` and the answer itself are one transaction, on disk when this resolves. Two calls with one key run one behind
   * the other. What `run` rejects with takes everything back, nothing is stored, and this rejects with the same.
   *
   * `key` is a hash (43 characters) over all that tells one request from another.
   */
  once(
    key: string,
    run: (data: ReplyData) => Promise<StoredReply>,
  ): Promise<{ readonly reply: StoredReply; /** It was stored before. */ readonly again: boolean }>
}
