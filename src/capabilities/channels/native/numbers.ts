/** Big-endian numbers in frames. Those of 64 bits count things: more than 2^53 of them are refused. */

import { RdvError } from "../../../base/error.ts"

export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) * 2 ** 24 + (((bytes[at + 1] as number) << 16) | readU16(bytes, at + 2))
}

/** Throws `protocol` when it is 2^53 or more. */
export function readU64(bytes: Uint8Array, at: number): number {
  const value = readU32(bytes, at) * 2 ** 32 + readU32(bytes, at + 4)
  if (value > Number.MAX_SAFE_INTEGER) throw new RdvError("protocol", "A number in a channel frame is too large")
  return value
}
