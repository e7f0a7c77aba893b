/**
 * The numbers of files that are another server's. Ours lie below 2^52; above it each bound tree has 2^41 numbers, half of
 * them for the server's own small numbers as they are, half for what is larger and has to be folded: inode numbers with a
 * device in them, or those of a tree that is bound into the other one in turn.
 */

import { qidType } from "../../../ninep/tree.ts"
import type { Qid } from "../../../ninep/tree.ts"
import type { U64, WireQid } from "../../../ninep/message.ts"

/** More cannot be told apart. */
export const mostBindings: number = 2 ** 11 - 1

const boundSpace = 2 ** 52
const treeSpace = 2 ** 41
const halfSpace = 2 ** 40

export function boundQid(binding: number, { type, version, path }: WireQid): Qid {
  const within = typeof path === "number" && path < halfSpace ? path : halfSpace + folded(path)
  return { type, version, path: boundSpace + binding * treeSpace + within }
}

/** Of a folder that leads to bindings: it has the numbers of a binding that there never is. */
export function virtualQid(path: string): Qid {
  const within = halfSpace + foldedText(path)
  return { type: qidType.folder, version: 0, path: boundSpace + mostBindings * treeSpace + within }
}

function folded(path: U64): number {
  return foldedText(path.toString(36))
}

/** 40 bits of two FNV-1a: among a million files, two with one number are a chance of one in two. */
function foldedText(text: string): number {
  let [low, high] = [0x811c9dc5, 0x01234567]
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    low = Math.imul(low ^ unit, 0x01000193)
    high = Math.imul(high ^ (unit + at), 0x01000193)
  }
  return (high & 0xff) * 2 ** 32 + (low >>> 0)
}
