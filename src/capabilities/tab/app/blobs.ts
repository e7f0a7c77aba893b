/**
 * Files of the application, kept beside its rows in the same database: an export has them, a transaction's crash does not
 * tear them. Bytes come and go as streams.
 */

export interface BlobFacts {
  /** SHA-256 of the bytes, base64url: the same bytes are kept once. */
  readonly id: string
  readonly bytes: number
  readonly type: string
}

export interface Blobs {
  /** Resolves when all of it is on disk. Rejects `too_large` above `limitBytes` (default 1 GiB), `limit` when the storage is full. */
  put(
    content: ReadableStream<Uint8Array> | Uint8Array,
    options?: { readonly type?: string; readonly limitBytes?: number },
  ): Promise<BlobFacts>
  stat(id: string): Promise<BlobFacts | undefined>
  /** The bytes from `from` on, up to but not including `to`; undefined: there is none. */
  get(
    id: string,
    range?: { readonly from?: number; readonly to?: number },
  ): Promise<ReadableStream<Uint8Array> | undefined>
  /** True when it was there. */
  delete(id: string): Promise<boolean>
}
