/** What the secret of a code gives. Nothing here but `access` ever leaves the machines of those who have the code. */

export interface SwarmKeys {
  /** Shown to the relay as proof that somebody has the code; the relay stores its SHA-256. 32 bytes. */
  readonly access: Uint8Array
  /** For identities of chunks. 32 bytes. */
  readonly identity: Uint8Array
  /** For sealing chunks. 32 bytes. */
  readonly seal: Uint8Array
  /** Proves that a table was published by somebody with the code (HMAC-SHA-256). 32 bytes. */
  readonly table: Uint8Array
  /** Members prove it to each other on direct connections and in datagrams. 32 bytes. */
  readonly peer: Uint8Array
}
