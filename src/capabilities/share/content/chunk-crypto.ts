/**
 * What chunks are made of: how they are named, sealed and checked. A swarm has one of these for each side that knows the
 * secret; the relay has the hash alone. Node and pages have implementations of their own, which agree to the byte.
 */

/** By itself where the work is done at once, a promise where the platform offers only that (Web Crypto). */
export type Soon<T> = T | Promise<T>

export type HashName = "blake3" | "sha256"

/** Bytes of a hash and of a chunk's identity. */
export const hashBytes = 32
/** What sealing adds to a chunk: the tag of AES-256-GCM. */
export const sealBytes = 16
/** The largest chunk before it is sealed. */
export const largestChunk: number = 1024 * 1024

export interface ChunkHash {
  readonly name: HashName
  /** Of bytes as everybody sees them: sealed chunks, nodes of the tree. */
  hash(bytes: Uint8Array): Uint8Array
}

export interface ChunkCrypto extends ChunkHash {
  /**
   * The identity of a chunk: a hash of its bytes under a key of the swarm. The same bytes have the same identity in all
   * versions of a swarm, and another one in every other swarm.
   */
  identify(plain: Uint8Array): Uint8Array
  /**
   * Encrypts with a key that follows from the identity, so that equal chunks are equal when they are sealed too: they are
   * cached once, and one of an older version stays good. The answer is the caller's, `sealBytes` longer than `plain`.
   */
  seal(plain: Uint8Array, identity: Uint8Array): Soon<Uint8Array>
  /** The same into memory of the caller, of exactly the right length, where the platform can do it at once. */
  sealInto?(plain: Uint8Array, identity: Uint8Array, into: Uint8Array): void
  /** Throws `corrupt` when it is not what was sealed under this identity. The answer is the caller's. */
  open(sealed: Uint8Array, identity: Uint8Array): Soon<Uint8Array>
  /**
   * The same into memory of the caller, of exactly the right length, where the platform can do it at once. When it throws, that
   * memory may hold anything.
   */
  openInto?(sealed: Uint8Array, identity: Uint8Array, into: Uint8Array): void
}
