/**
 * Who wrote a datagram: each ends in the first 12 bytes of HMAC-SHA-256 over all before them (RFC 2104 section 5 asks for
 * at least half of the hash; 96 bits are what IPsec uses, and a wrong guess costs a datagram, not a key). Node computes it
 * natively; what is here is the use of it.
 */

import { concat } from "../../../base/bytes.ts"

/** HMAC-SHA-256 under one key. The 32 bytes are valid until the next call. */
export type Mac = (bytes: Uint8Array) => Uint8Array
/** How the platform makes one. */
export type MacFor = (key: Uint8Array) => Mac

export const tagBytes = 12

/** A key for one purpose out of another key. */
export function deriveKey(macFor: MacFor, key: Uint8Array, label: string, ...facts: readonly Uint8Array[]): Uint8Array {
  return macFor(key)(concat([new TextEncoder().encode(`rdv/share/${label} 1`), ...facts])).slice()
}

/** Writes the tag of the first `length` bytes behind them. Returns the datagram. */
export function seal(mac: Mac, buffer: Uint8Array, length: number): Uint8Array {
  const sum = mac(buffer.subarray(0, length))
  for (let at = 0; at < tagBytes; at++) buffer[length + at] = sum[at] as number
  return buffer.subarray(0, length + tagBytes)
}

/** False when somebody else wrote it, or it changed on the way. */
export function isSealed(mac: Mac, datagram: Uint8Array): boolean {
  const length = datagram.length - tagBytes
  if (length < 0) return false
  const sum = mac(datagram.subarray(0, length))
  let difference = 0
  for (let at = 0; at < tagBytes; at++) difference |= (sum[at] as number) ^ (datagram[length + at] as number)
  return difference === 0
}
