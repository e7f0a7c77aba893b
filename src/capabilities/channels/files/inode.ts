/**
 * The numbers of files: 33 bits for the channel or folder, which the space never gives twice, 4 for which of its files, 16
 * for names that make inodes of their own.
 */

import { qidType } from "../../../ninep/tree.ts"
import type { Qid } from "../../../ninep/tree.ts"
import { roles } from "./role-name.ts"
import type { Role } from "./role-name.ts"

/** What of a channel or folder a file is. */
export type Part = "self" | "roles" | "root-ctl" | "selects" | "select" | Role

const parts: readonly Part[] = ["self", "roles", "root-ctl", "selects", "select", ...roles]

export function inode(id: number, part: Part, salt = 0): number {
  return id * 2 ** 20 + parts.indexOf(part) * 2 ** 16 + salt
}

export function fileQid(id: number, part: Part, salt = 0): Qid {
  return { type: qidType.file, version: 0, path: inode(id, part, salt) }
}

export function folderQid(id: number, part: Part): Qid {
  return { type: qidType.folder, version: 0, path: inode(id, part) }
}
