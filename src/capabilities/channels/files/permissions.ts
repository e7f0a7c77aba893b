/** Permission bits, as in any file system: the owner's, else the group's, else everybody's. Read is receive, write is send. */

import { NinepError } from "../../../ninep/errno.ts"
import type { Channel, Facts } from "../core/channel.ts"
import { Folder } from "../core/space.ts"
import type { Space } from "../core/space.ts"
import type { Identity } from "./identity.ts"

export type Right = "read" | "write" | "search"

const bits: Readonly<Record<Right, number>> = { read: 4, write: 2, search: 1 }

export function permits(identity: Identity, facts: Facts, right: Right): boolean {
  if (identity.admin) return true
  const { uid, gid, permissions } = facts
  let shift = 0
  if (uid === identity.uid) shift = 6
  else if (gid === identity.gid || identity.groups.includes(gid)) shift = 3
  return ((permissions >> shift) & bits[right]) !== 0
}

/** Throws `EACCES`. */
export function requireReceive(identity: Identity, channel: Channel): void {
  if (permits(identity, channel.facts, "read") && identity.mayReceive(channel.path)) return
  throw new NinepError("EACCES", `${identity.name} may not receive from ${channel.path}`)
}

/** Throws `EACCES`. */
export function requireSend(identity: Identity, channel: Channel): void {
  if (permits(identity, channel.facts, "write") && identity.maySend(channel.path)) return
  throw new NinepError("EACCES", `${identity.name} may not send to ${channel.path}`)
}

/** For who names a channel and does not walk to it: the folders above let him through all the same. Throws `EACCES`. */
export function requireWay(identity: Identity, root: Folder, { path }: Channel): void {
  let folder: Folder | Channel | undefined = root
  for (const name of path.slice(root.path === "/" ? 1 : root.path.length + 1).split("/")) {
    if (!(folder instanceof Folder)) return
    if (!permits(identity, folder.facts, "search"))
      throw new NinepError("EACCES", `${identity.name} may not look into ${folder.path}`)
    folder = folder.children.get(name)
  }
}

/** Whether its name is listed and can be walked to: what somebody may do nothing with, he does not hear of. */
export function sees(identity: Identity, path: string): boolean {
  return identity.maySee?.(path) ?? true
}

/**
 * For settings: what a channel buries is sent to its dead-letter channel, by leave of who set it. Throws `EACCES`. A channel
 * that is made there later is guarded by the rights on paths alone.
 */
export function requireGrave(identity: Identity, space: Space, path: string): void {
  if (path === "") return
  const grave = space.find(path)
  if (identity.maySend(path) && (grave === undefined || permits(identity, grave.facts, "write"))) return
  throw new NinepError("EACCES", `${identity.name} may not send to ${path}`)
}

/** For settings and permissions. Throws `EPERM`. */
export function requireOwner(identity: Identity, facts: Facts, path: string): void {
  const isInScope = identity.mayReceive(path) && identity.maySend(path)
  if (isInScope && (identity.admin || facts.uid === identity.uid)) return
  throw new NinepError("EPERM", `${path} belongs to ${facts.owner}`)
}

/** For what is made or removed in a folder. Throws `EACCES`. */
export function requirePlace(identity: Identity, folder: Facts, path: string): void {
  const isInScope = identity.mayReceive(path) && identity.maySend(path)
  if (isInScope && permits(identity, folder, "write") && permits(identity, folder, "search")) return
  throw new NinepError("EACCES", `${identity.name} may not make or remove ${path}`)
}
