/** Reading and writing, the hot path: their messages' heads, written straight into memory that is sent. */

import { putU32, putU64 } from "./byte-writer.ts"
import { messageType, readHeaderBytes, writeHeaderBytes, type U64 } from "./message.ts"

/** `size[4] Tread tag[2] fid[4] offset[8] count[4]`. */
export const treadBytes = 23

/** Returns where the message ends. */
export function putTread(into: Uint8Array, at: number, tag: number, fid: number, offset: U64, count: number): number {
  putHead(into, at, treadBytes, messageType.Tread, tag)
  putU32(into, at + 7, fid)
  putU64(into, at + 11, offset)
  putU32(into, at + 19, count)
  return at + treadBytes
}

/** The data of `count` bytes follow. Returns where they begin. */
export function putTwriteHead(
  into: Uint8Array,
  at: number,
  tag: number,
  fid: number,
  offset: U64,
  count: number,
): number {
  putHead(into, at, writeHeaderBytes + count, messageType.Twrite, tag)
  putU32(into, at + 7, fid)
  putU64(into, at + 11, offset)
  putU32(into, at + 19, count)
  return at + writeHeaderBytes
}

/** The data of `count` bytes follow. Returns where they begin. */
export function putRreadHead(into: Uint8Array, at: number, tag: number, count: number): number {
  putHead(into, at, readHeaderBytes + count, messageType.Rread, tag)
  putU32(into, at + 7, count)
  return at + readHeaderBytes
}

/** Returns where the message ends. */
export function putRwrite(into: Uint8Array, at: number, tag: number, count: number): number {
  putHead(into, at, 11, messageType.Rwrite, tag)
  putU32(into, at + 7, count)
  return at + 11
}

function putHead(into: Uint8Array, at: number, size: number, type: number, tag: number): void {
  putU32(into, at, size)
  into[at + 4] = type
  into[at + 5] = tag
  into[at + 6] = tag >>> 8
}
