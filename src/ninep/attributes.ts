/** What a tree tells of its nodes, as the dialects write it, and what they ask to change. */

import { linuxMode, getattrBits, permissionBits, setattrBits, untouched32 } from "./bits.ts"
import { NinepError } from "./errno.ts"
import type { Rgetattr, Stat, Tsetattr, U64 } from "./message.ts"
import { qidType } from "./tree.ts"
import type { AttributeChanges, Attributes } from "./tree.ts"

/** Programs write in pieces of this size: with 4096 bytes a long line becomes several messages. */
const leastBlockBytes = 65536

export function statOf(attributes: Attributes): Stat {
  const isFolder = (attributes.qid.type & qidType.folder) !== 0
  return {
    type: 0,
    dev: 0,
    qid: attributes.qid,
    // The upper byte of a mode repeats the qid's type: stat(5).
    mode: (((attributes.qid.type & 0xff) << 24) | (attributes.permissions & 0o777)) >>> 0,
    atime: seconds(attributes.accessed),
    mtime: seconds(attributes.modified),
    // Folders have none: stat(5).
    length: isFolder ? 0 : attributes.length,
    name: attributes.name,
    uid: attributes.user,
    gid: attributes.group,
    muid: attributes.user,
    extension: "",
    nUid: attributes.uid >>> 0,
    nGid: attributes.gid >>> 0,
    nMuid: attributes.uid >>> 0,
  }
}

export function getattrOf(attributes: Attributes, blockSize: number | undefined): Omit<Rgetattr, "tag"> {
  const isFolder = (attributes.qid.type & qidType.folder) !== 0
  const accessed = { sec: seconds(attributes.accessed), nsec: nanoseconds(attributes.accessed) }
  const modified = { sec: seconds(attributes.modified), nsec: nanoseconds(attributes.modified) }
  return {
    type: "Rgetattr",
    valid: getattrBits.BASIC,
    qid: attributes.qid,
    mode: (isFolder ? linuxMode.DIRECTORY : linuxMode.REGULAR) | (attributes.permissions & 0o777),
    uid: attributes.uid >>> 0,
    gid: attributes.gid >>> 0,
    // 1 for folders too: with 2, find(1) would take it that there are no folders inside.
    nlink: 1,
    rdev: 0,
    size: attributes.length,
    blksize: Math.max(leastBlockBytes, blockSize ?? 0),
    blocks: Math.ceil(attributes.length / 512),
    atimeSec: accessed.sec,
    atimeNsec: accessed.nsec,
    mtimeSec: modified.sec,
    mtimeNsec: modified.nsec,
    ctimeSec: modified.sec,
    ctimeNsec: modified.nsec,
    btimeSec: 0,
    btimeNsec: 0,
    gen: 0,
    dataVersion: 0,
  }
}

/** `now` in seconds since 1970, for times that the client leaves to the server. */
export function changesOfSetattr(message: Tsetattr, now: number): AttributeChanges {
  const has = (bit: number) => (message.valid & bit) !== 0
  const time = (set: number, sec: U64, nsec: U64) => (has(set) ? Number(sec) + Number(nsec) / 1e9 : now)
  return {
    ...(has(setattrBits.MODE) ? { permissions: message.mode & 0o777 } : {}),
    ...(has(setattrBits.UID) ? { uid: message.uid } : {}),
    ...(has(setattrBits.GID) ? { gid: message.gid } : {}),
    ...(has(setattrBits.SIZE) ? { length: Number(message.size) } : {}),
    ...(has(setattrBits.ATIME) ? { accessed: time(setattrBits.ATIME_SET, message.atimeSec, message.atimeNsec) } : {}),
    ...(has(setattrBits.MTIME) ? { modified: time(setattrBits.MTIME_SET, message.mtimeSec, message.mtimeNsec) } : {}),
  }
}

/**
 * What a Twstat asks to change; undefined when it is nothing: then it means fsync, stat(5). Throws `EPERM` for what can
 * never be changed.
 */
export function changesOfStat(stat: Stat, isFolder: boolean): AttributeChanges | undefined {
  const isKept = (value: number) => value === untouched32
  if (!isKept(stat.mode) && ((stat.mode & permissionBits.DMDIR) !== 0) !== isFolder)
    throw new NinepError("EPERM", "A file cannot become a folder, nor a folder a file")
  // Names of users are not known here; 9P2000.u has their numbers beside. Linux fills the muid in when it renames.
  if ((stat.uid !== "" && isMissing(stat.nUid)) || (stat.gid !== "" && isMissing(stat.nGid)))
    throw new NinepError("EPERM", "Users and groups cannot be set by name")
  const changes: AttributeChanges = {
    ...(isKept(stat.mode) ? {} : { permissions: stat.mode & 0o777 }),
    ...(isUntouched64(stat.length) ? {} : { length: Number(stat.length) }),
    ...(isKept(stat.atime) ? {} : { accessed: stat.atime }),
    ...(isKept(stat.mtime) ? {} : { modified: stat.mtime }),
    ...(isMissing(stat.nUid) ? {} : { uid: stat.nUid }),
    ...(isMissing(stat.nGid) ? {} : { gid: stat.nGid }),
    ...(stat.name === "" ? {} : { name: stat.name }),
  }
  return Object.keys(changes).length === 0 ? undefined : changes
}

function isMissing(number: number | undefined): number is undefined {
  return number === undefined || number === untouched32
}

function isUntouched64(value: U64): boolean {
  return typeof value === "bigint" && value === 0xffff_ffff_ffff_ffffn
}

function seconds(time: number): number {
  return Math.min(0xffff_fffe, Math.max(0, Math.floor(time)))
}

function nanoseconds(time: number): number {
  return Math.max(0, Math.floor((time - Math.floor(time)) * 1e9))
}
