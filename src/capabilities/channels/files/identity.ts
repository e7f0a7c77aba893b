/**
 * Who somebody is, once attached: the seam to access control. What a client's kernel asserts about its users is worth what
 * the connection is worth; whoever identifies knows the connection, the tree does not.
 */

import type { AttachRequest } from "../../../ninep/tree.ts"

export interface Identity {
  readonly name: string
  /** What new channels and folders get, and what permissions are held against. */
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  /** Passes all permission bits, may set everything and give things away. */
  readonly admin: boolean
  /** The folder that is the root for this identity, as `/team-a`; `/` for everything. */
  readonly prefix: string
  /** Beside the permission bits; paths are those of the space. Creating and removing need both. */
  mayReceive(path: string): boolean
  maySend(path: string): boolean
  /** Whether it hears that this channel or folder exists. Without it, it sees whatever is there. */
  maySee?(path: string): boolean
}

/** Throws `EACCES`, or `ENOENT` for an attach name that means nothing. */
export type Identify = (request: AttachRequest) => Identity | Promise<Identity>

/** Everybody may do everything. The attach name is the folder to see, as `/data`; empty for all. */
export const identifyAnyone: Identify = ({ user, aname }) => {
  const uid = user.uid ?? 65_534
  const name = user.name === "" ? String(uid) : user.name
  const prefix = aname.startsWith("/") ? aname.replace(/\/+$/, "") || "/" : "/"
  return { name, uid, gid: uid, groups: [], admin: true, prefix, mayReceive: () => true, maySend: () => true }
}
