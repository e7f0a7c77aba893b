/** How fids are opened: open(5), and Linux's forms of it. */

import { andThen } from "./awaited.ts"
import { linuxOpen, openMode, permissionBits } from "./bits.ts"
import { NinepError } from "./errno.ts"
import { isFolder, nodeOf } from "./fids.ts"
import type { Fid } from "./fids.ts"
import { Listing } from "./listing.ts"
import type { Tcreate, Tlcreate, Tlopen, Topen } from "./message.ts"
import { checkName } from "./operation.ts"
import type { Desk, Effect, Outcome } from "./operation.ts"
import type { Created, Node, OpenMode } from "./tree.ts"

type OpenedType = "Ropen" | "Rlopen" | "Rcreate" | "Rlcreate"

const forReading: OpenMode = { read: true, write: false, truncate: false, append: false }

export function open(message: Topen, desk: Desk): Outcome {
  const mode = modeOfPlan9(message.mode)
  const fid = closedFid(message.fid, desk)
  return andThen(openNode(nodeOf(fid), mode), (created) => opened("Ropen", fid, created, mode, desk))
}

export function linuxOpening(message: Tlopen, desk: Desk): Outcome {
  const mode = modeOfLinux(message.flags)
  const fid = closedFid(message.fid, desk)
  const node = nodeOf(fid)
  if ((message.flags & linuxOpen.DIRECTORY) !== 0 && !isFolder(node)) throw new NinepError("ENOTDIR")
  return andThen(openNode(node, mode), (created) => opened("Rlopen", fid, created, mode, desk))
}

export function create(message: Tcreate, desk: Desk): Outcome {
  const mode = modeOfPlan9(message.mode)
  const fid = closedFid(message.fid, desk)
  const { DMDIR, DMSYMLINK, DMDEVICE, DMNAMEDPIPE, DMSOCKET } = permissionBits
  // 0x01000000 is 9P2000.u's hard link.
  if ((message.perm & (DMSYMLINK | DMDEVICE | DMNAMEDPIPE | DMSOCKET | 0x0100_0000)) !== 0)
    throw new NinepError("EPERM", "Only files and folders can be made")
  const parent = folderToFill(fid, message.name, desk)
  const permissions = message.perm & 0o777
  if ((message.perm & DMDIR) === 0)
    return andThen(parent.create(message.name, permissions, mode), (made) => opened("Rcreate", fid, made, mode, desk))
  if (mode.write) throw new NinepError("EISDIR", "Folders are opened for reading")
  return andThen(parent.makeFolder(message.name, permissions), (folder) =>
    andThen(openNode(folder, forReading), (made) => opened("Rcreate", fid, made, forReading, desk)),
  )
}

export function linuxCreation(message: Tlcreate, desk: Desk): Outcome {
  const { name, flags } = message
  const mode = modeOfLinux(flags)
  const fid = closedFid(message.fid, desk)
  const parent = folderToFill(fid, name, desk)
  // Somebody else may have made it since the client looked; only O_EXCL minds.
  const openOther = (error: unknown): Created | Promise<Created> => {
    const isTaken = error instanceof NinepError && error.errno === "EEXIST"
    if (!isTaken || (flags & linuxOpen.EXCL) !== 0) throw error
    return andThen(parent.walk(name), (node) => {
      if (node === undefined) throw error
      return openNode(node, mode)
    })
  }
  let made: Created | Promise<Created>
  try {
    made = parent.create(name, message.mode & 0o777, mode)
  } catch (error) {
    made = openOther(error)
  }
  const created = made instanceof Promise ? made.catch(openOther) : made
  return andThen(created, (file) => opened("Rlcreate", fid, file, mode, desk))
}

function modeOfPlan9(mode: number): OpenMode {
  if ((mode & openMode.ORCLOSE) !== 0) throw new NinepError("EOPNOTSUPP", "Removal on close is not offered")
  const access = mode & 3
  return {
    read: access !== openMode.OWRITE,
    write: access === openMode.OWRITE || access === openMode.ORDWR,
    truncate: (mode & openMode.OTRUNC) !== 0,
    append: (mode & openMode.OAPPEND) !== 0,
  }
}

function modeOfLinux(flags: number): OpenMode {
  const access = flags & linuxOpen.ACCESS
  if (access === linuxOpen.ACCESS) throw new NinepError("EINVAL", "Neither for reading nor for writing")
  return {
    read: access !== linuxOpen.WRONLY,
    write: access !== linuxOpen.RDONLY,
    truncate: (flags & linuxOpen.TRUNC) !== 0,
    append: (flags & linuxOpen.APPEND) !== 0,
  }
}

function closedFid(number: number, desk: Desk): Fid {
  const fid = desk.fids.known(number)
  if (fid.handle !== undefined) throw new NinepError("EBUSY", `The fid ${number} is open`)
  return fid
}

function folderToFill(fid: Fid, name: string, desk: Desk): Node {
  const parent = nodeOf(fid)
  if (!isFolder(parent)) throw new NinepError("ENOTDIR")
  checkName(name, desk.limits)
  return parent
}

function openNode(node: Node, mode: OpenMode): Created | Promise<Created> {
  if (isFolder(node) && (mode.write || mode.truncate)) throw new NinepError("EISDIR")
  return andThen(node.open(mode), (handle) => ({ node, handle }))
}

function opened(type: OpenedType, fid: Fid, { node, handle }: Created, mode: OpenMode, desk: Desk): Effect {
  return {
    answer: { type, qid: node.qid, iounit: handle.ioUnit ?? 0 },
    commit() {
      fid.node = node
      fid.open(handle, mode, desk.messageBytes)
      if (isFolder(node)) fid.listing = new Listing(node, handle)
    },
    undo: () => handle.close(true),
  }
}
