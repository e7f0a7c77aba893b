/**
 * 32-bit hashes that are the same in every process, on every machine, for ever: they decide which client goes where, and
 * balancers beside each other have to agree. FNV-1a over UTF-16 code units, then MurmurHash3's finalizer, which lets every
 * bit of the input touch every bit of the result.
 */

/** 0 to 2^32 - 1. Different seeds give independent hashes. */
export function hashText(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return mix(hash)
}

/** An independent hash of a hash. */
export function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** From a hash to a number from 0 up to and without 1. */
export function fractionOf(hash: number): number {
  return hash / 2 ** 32
}
