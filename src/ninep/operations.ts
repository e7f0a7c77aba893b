/** The operation of each request that is not read, write, clunk, remove, flush or version: these are the connection's own. */

import { attach, walk } from "./walking.ts"
import { changesOfSetattr, changesOfStat, getattrOf, statOf } from "./attributes.ts"
import { andThen } from "./awaited.ts"
import { AT_REMOVEDIR } from "./bits.ts"
import { NinepError } from "./errno.ts"
import type { ErrnoName } from "./errno.ts"
import { isFolder, nodeOf } from "./fids.ts"
import type { MessageName, MessageOf, Request } from "./message.ts"
import { create, linuxCreation, linuxOpening, open } from "./opening.ts"
import { checkName } from "./operation.ts"
import type { Desk, Outcome } from "./operation.ts"
import type { Node } from "./tree.ts"

/** Throws and rejects with what the client is told. */
export function operate(message: Request, desk: Desk): Outcome {
  const operation = operations[message.type] as ((message: Request, desk: Desk) => Outcome) | undefined
  if (operation === undefined) throw new NinepError("EOPNOTSUPP", `${message.type} is not offered`)
  return operation(message, desk)
}

/** Those that change or read on the state of the fid itself: others on the same fid wait for them. */
export const exclusive: ReadonlySet<MessageName> = new Set<MessageName>([
  "Topen",
  "Tcreate",
  "Tlopen",
  "Tlcreate",
  "Treaddir",
  "Tread",
])

const operations: { readonly [Name in Request["type"]]?: (message: MessageOf<Name>, desk: Desk) => Outcome } = {
  Tauth: () => refuse("ENOENT", "Nobody is asked to authenticate here"),
  Tattach: attach,
  Twalk: walk,
  Topen: open,
  Tlopen: linuxOpening,
  Tcreate: create,
  Tlcreate: linuxCreation,
  Tread: readFolder,
  Treaddir(message, desk) {
    const { listing } = desk.fids.known(message.fid)
    if (listing === undefined) throw new NinepError("EBADF", "It is no open folder")
    const most = desk.messageBytes - 11
    return andThen(listing.readdir(message.offset, Math.min(message.count, most)), (entries) => ({
      answer: { type: "Rreaddir", entries },
    }))
  },
  Tstat: (message, desk) =>
    andThen(desk.fids.node(message.fid).attributes(), (attributes) => ({
      answer: { type: "Rstat", stat: statOf(attributes) },
    })),
  Tgetattr: (message, desk) =>
    andThen(desk.fids.node(message.fid).attributes(), (attributes) => ({
      answer: getattrOf(attributes, desk.tree.blockSize),
    })),
  Twstat(message, desk) {
    const fid = desk.fids.known(message.fid)
    const node = nodeOf(fid)
    const changes = changesOfStat(message.stat, isFolder(node))
    if (changes?.name !== undefined) checkName(changes.name, desk.limits)
    const done = changes === undefined ? fid.handle?.sync?.() : node.change(changes)
    return andThen(done, () => ({ answer: { type: "Rwstat" } }))
  },
  Tsetattr(message, desk) {
    const node = desk.fids.node(message.fid)
    const changes = changesOfSetattr(message, desk.now())
    const done = Object.keys(changes).length === 0 ? undefined : node.change(changes)
    return andThen(done, () => ({ answer: { type: "Rsetattr" } }))
  },
  Tfsync(message, desk) {
    const fid = desk.fids.known(message.fid)
    if (fid.handle === undefined) throw new NinepError("EBADF", "The fid is not open")
    return andThen(fid.handle.sync?.(), () => ({ answer: { type: "Rfsync" } }))
  },
  Tmkdir(message, desk) {
    const parent = folder(message.dfid, desk)
    checkName(message.name, desk.limits)
    return andThen(parent.makeFolder(message.name, message.mode & 0o777), (made) => ({
      answer: { type: "Rmkdir", qid: made.qid },
    }))
  },
  Tunlinkat(message, desk) {
    const isOfFolder = (message.flags & AT_REMOVEDIR) !== 0
    return andThen(child(message.dirfid, message.name, desk), (node) =>
      andThen(node.remove(isOfFolder), () => ({ answer: { type: "Runlinkat" } })),
    )
  },
  Trenameat(message, desk) {
    const isSameFolder = folder(message.olddirfid, desk).qid.path === folder(message.newdirfid, desk).qid.path
    if (!isSameFolder) throw new NinepError("EPERM", "Files cannot be moved between folders")
    checkName(message.newname, desk.limits)
    return andThen(child(message.olddirfid, message.oldname, desk), (node) =>
      andThen(node.change({ name: message.newname }), () => ({ answer: { type: "Rrenameat" } })),
    )
  },
  Trename(message, desk) {
    const node = desk.fids.node(message.fid)
    const target = folder(message.dfid, desk)
    checkName(message.name, desk.limits)
    return andThen(node.parent(), (parent) => {
      if (parent.qid.path !== target.qid.path) throw new NinepError("EPERM", "Files cannot be moved between folders")
      return andThen(node.change({ name: message.name }), () => ({ answer: { type: "Rrename" } }))
    })
  },
  Tstatfs(message, desk) {
    desk.fids.node(message.fid)
    return {
      answer: {
        type: "Rstatfs",
        // FUSE_SUPER_MAGIC. By the kind of a file system programs tell whether it changes without their kernel knowing: with
        // V9FS_MAGIC, GNU `tail -f` waits for inotify, which never hears of what others do.
        fsType: 0x65735546,
        bsize: desk.tree.blockSize ?? 65536,
        blocks: 0,
        bfree: 0,
        bavail: 0,
        files: 0,
        ffree: 0,
        fsid: 0,
        namelen: desk.limits.nameBytes,
      },
    }
  },
  // Linux asks for security.capability before each first write, and goes on without.
  Txattrwalk: () => refuse("EOPNOTSUPP", "There are no extended attributes"),
  Txattrcreate: () => refuse("EOPNOTSUPP", "There are no extended attributes"),
  // Whoever locks shall not believe that other machines are locked out.
  Tlock: () => refuse("EOPNOTSUPP", "There are no locks"),
  Tgetlock: () => refuse("EOPNOTSUPP", "There are no locks"),
  Treadlink: () => refuse("EINVAL", "It is no symbolic link"),
  Tsymlink: () => refuse("EPERM", "There are no symbolic links"),
  Tlink: () => refuse("EPERM", "There are no hard links"),
  Tmknod: () => refuse("EPERM", "There are no special files"),
}

function refuse(errno: ErrnoName, reason: string): never {
  throw new NinepError(errno, reason)
}

function readFolder(message: MessageOf<"Tread">, desk: Desk): Outcome {
  const { listing } = desk.fids.known(message.fid)
  if (listing === undefined) throw new NinepError("EBADF", "The fid is not open")
  if (desk.dialect === "9P2000.L") throw new NinepError("EISDIR", "Folders are read by Treaddir")
  const count = Math.min(message.count, desk.messageBytes - 11)
  return andThen(listing.read(Number(message.offset), count, desk.dialect), (data) => ({
    answer: { type: "Rread", data },
  }))
}

function folder(number: number, desk: Desk): Node {
  const node = desk.fids.node(number)
  if (!isFolder(node)) throw new NinepError("ENOTDIR")
  return node
}

function child(number: number, name: string, desk: Desk): Node | Promise<Node> {
  const parent = folder(number, desk)
  checkName(name, desk.limits)
  return andThen(parent.walk(name), (node) => {
    if (node === undefined) throw new NinepError("ENOENT", `There is no ${name}`)
    return node
  })
}
