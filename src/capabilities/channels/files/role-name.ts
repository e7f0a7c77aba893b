/**
 * The names in a channel's folder: `recv`, `recv@5s`, `take@try,worker-1`. Behind the `@` stand options with commas between
 * them. A word that is no option makes another inode of the same file: clients that lock an inode during a blocked call
 * (Linux 6.8 and later) then do not stand in each other's way.
 */

import { readDuration } from "../../../config/quantity.ts"

/** In the order of a listing. */
export const roles = ["send", "recv", "next", "put", "peek", "tail", "take", "ack", "ctl", "stat"] as const

export type Role = (typeof roles)[number]

export interface Patience {
  /** How long a call may wait, ms; undefined: as the channel's `timeout` says. */
  readonly deadlineMs: number | undefined
  /** Never waits. */
  readonly isTry: boolean
}

export interface RoleName extends Patience {
  readonly role: Role
  /** 16 bits that tell this name from others of the role; 0 for the role's plain name. */
  readonly salt: number
}

export const unlimited: Patience = { deadlineMs: undefined, isTry: false }

/** Undefined: there is no such file. */
export function readRoleName(name: string): RoleName | undefined {
  const at = name.indexOf("@")
  const role = roles.find((each) => each === (at < 0 ? name : name.slice(0, at)))
  if (role === undefined) return undefined
  if (at < 0) return { role, ...unlimited, salt: 0 }
  let deadlineMs: number | undefined
  let isTry = false
  for (const word of name.slice(at + 1).split(",")) {
    if (word === "") return undefined
    if (word === "try") isTry = true
    // A plain number is a word; anything else that begins with a digit wants to be a deadline, and is not taken lightly.
    else if (/^\d/.test(word) && !/^\d+$/.test(word)) {
      const ms = durationOf(word)
      if (ms === undefined || ms === 0 || ms > longestDeadlineMs || deadlineMs !== undefined) return undefined
      deadlineMs = ms
    }
  }
  return { role, deadlineMs, isTry, salt: saltOf(name) }
}

/** 1 to 65535: FNV-1a, folded. Two names with the same number share an inode, which harms nothing but the lock's purpose. */
export function saltOf(name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  const folded = (hash ^ (hash >>> 16)) & 0xffff
  return folded === 0 ? 1 : folded
}

const longestDeadlineMs = 86_400_000

function durationOf(word: string): number | undefined {
  try {
    return readDuration(word)
  } catch {
    return undefined
  }
}
