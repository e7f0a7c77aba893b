/** A request of the client that has no answer yet: kept whole, because it may have to be sent once more. */

import { u32At, u64At } from "../../../ninep/byte-reader.ts"
import { treadBytes } from "../../../ninep/data-heads.ts"
import { headerBytes, messageType, writeHeaderBytes } from "../../../ninep/message.ts"
import type { Request, U64 } from "../../../ninep/message.ts"

export class Pending {
  readonly type: number
  readonly tag: number
  readonly bytes: Uint8Array
  /** Read, for those that change what fids stand for. */
  readonly request: Request | undefined
  /** It is upstream on the present link. */
  isSent = false
  /** It was sent over a link that was lost: it may have taken effect. */
  wasSent = false
  /** Answered or withdrawn: whoever still has it forgets it. */
  isOver = false
  /** It is being repeated step by step; flushes wait for the end of that. */
  isBusy = false
  /** Tags of Tflush that wait for it. */
  flushes: number[] | undefined
  /** Of a Tflush: what it withdraws. */
  target: Pending | undefined

  constructor(bytes: Uint8Array, request: Request | undefined) {
    this.type = typeAt(bytes, 0)
    this.tag = tagAt(bytes, 0)
    this.bytes = bytes
    this.request = request
  }

  /** Of the messages that have it first, which are all but Tversion, Tauth and Tflush. */
  get fid(): number {
    return u32At(this.bytes, 7)
  }

  /** Of a Tread, Treaddir or Twrite. */
  get offset(): U64 {
    return u64At(this.bytes, 11)
  }

  get count(): number {
    return u32At(this.bytes, 19)
  }
}

export function typeAt(bytes: Uint8Array, start: number): number {
  return bytes[start + 4] as number
}

export function tagAt(bytes: Uint8Array, start: number): number {
  return (bytes[start + 5] as number) | ((bytes[start + 6] as number) << 8)
}

const t = messageType

/** The frequent ones, whose length tells that they are whole; the others are read. */
export function isSound(bytes: Uint8Array): boolean {
  const { length } = bytes
  switch (typeAt(bytes, 0)) {
    case t.Tread:
      return length === treadBytes
    case t.Twrite:
      return length >= writeHeaderBytes && u32At(bytes, 19) === length - writeHeaderBytes
    case t.Tclunk:
      return length === headerBytes + 4
    default:
      return false
  }
}

/** Those that change the table of fids, or that are not simply sent again. */
export const readTypes: ReadonlySet<number> = new Set([
  t.Tattach,
  t.Twalk,
  t.Topen,
  t.Tlopen,
  t.Tcreate,
  t.Tlcreate,
  t.Tremove,
  t.Twstat,
  t.Txattrwalk,
  t.Txattrcreate,
  t.Trename,
  t.Trenameat,
  t.Tunlinkat,
  t.Tmkdir,
  t.Tsymlink,
  t.Tmknod,
  t.Tlink,
  t.Tlock,
])
