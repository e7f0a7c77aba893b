/** What a server tells of a file, in whichever dialect. */

import { linuxMode, permissionBits, setattrBits, untouched16, untouched32, untouched64 } from "./bits.ts"
import type { Rgetattr, Stat, Tsetattr, WireQid } from "./message.ts"
import type { AttributeChanges } from "./tree.ts"

export interface RemoteAttributes {
  readonly qid: WireQid
  readonly isFolder: boolean
  /** 0o777 alone. */
  readonly permissions: number
  readonly length: number
  /** Seconds since 1970. */
  readonly accessed: number
  readonly modified: number
  /** Names for 9P2000, numbers as texts for .L. */
  readonly user: string
  readonly group: string
  /** 9P2000 has none. */
  readonly uid: number | undefined
  readonly gid: number | undefined
}

export function fromGetattr(answer: Rgetattr): RemoteAttributes {
  return {
    qid: answer.qid,
    isFolder: (answer.mode & linuxMode.TYPE) === linuxMode.DIRECTORY,
    permissions: answer.mode & 0o777,
    length: Number(answer.size),
    accessed: Number(answer.atimeSec),
    modified: Number(answer.mtimeSec),
    user: String(answer.uid),
    group: String(answer.gid),
    uid: answer.uid,
    gid: answer.gid,
  }
}

export function fromStat(stat: Stat): RemoteAttributes {
  return {
    qid: stat.qid,
    isFolder: (stat.mode & permissionBits.DMDIR) !== 0,
    permissions: stat.mode & 0o777,
    length: Number(stat.length),
    accessed: stat.atime,
    modified: stat.mtime,
    user: stat.uid,
    group: stat.gid,
    uid: stat.nUid,
    gid: stat.nGid,
  }
}

/** The fields of a Tsetattr. A name is not among them: .L has Trename. */
export function toSetattr(changes: AttributeChanges): Omit<Tsetattr, "type" | "tag" | "fid"> {
  const bits = setattrBits
  let valid = 0
  if (changes.permissions !== undefined) valid |= bits.MODE
  if (changes.uid !== undefined) valid |= bits.UID
  if (changes.gid !== undefined) valid |= bits.GID
  if (changes.length !== undefined) valid |= bits.SIZE
  if (changes.accessed !== undefined) valid |= bits.ATIME | bits.ATIME_SET
  if (changes.modified !== undefined) valid |= bits.MTIME | bits.MTIME_SET
  return {
    valid,
    mode: changes.permissions ?? 0,
    uid: changes.uid ?? untouched32,
    gid: changes.gid ?? untouched32,
    size: changes.length ?? 0,
    atimeSec: changes.accessed ?? 0,
    atimeNsec: 0,
    mtimeSec: changes.modified ?? 0,
    mtimeNsec: 0,
  }
}

/** The record of a Twstat; `isFolder` has to be known, because the mode has it. */
export function toWstat(changes: AttributeChanges, isFolder: boolean): Stat {
  const kind = isFolder ? permissionBits.DMDIR : 0
  return {
    type: untouched16,
    dev: untouched32,
    qid: { type: 0xff, version: untouched32, path: untouched64 },
    mode: changes.permissions === undefined ? untouched32 : changes.permissions + kind,
    atime: changes.accessed ?? untouched32,
    mtime: changes.modified ?? untouched32,
    length: changes.length ?? untouched64,
    name: changes.name ?? "",
    uid: "",
    gid: "",
    muid: "",
    extension: "",
    nUid: changes.uid ?? untouched32,
    nGid: changes.gid ?? untouched32,
    nMuid: untouched32,
  }
}
