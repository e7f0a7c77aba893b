/** What each message has behind its header, in order, for each dialect. Decoding and encoding both read this table. */

import type { Dialect, MessageName, MessageOf } from "./message.ts"

/**
 * How a field is written. `name` is a text without `/`; `names` and `qids` are preceded by a count of 16 bits; `data` by a
 * length of 32 bits; `stat` and `entries` likewise by their length. `later` is 32 bits that older clients leave out.
 */
export type Kind =
  | "u8"
  | "u16"
  | "u32"
  | "u64"
  | "text"
  | "name"
  | "names"
  | "qid"
  | "qids"
  | "data"
  | "stat"
  | "entries"
  | "later"

export type Field<Key extends string = string> = readonly [key: Key, kind: Kind]
type FieldsOf<Name extends MessageName> = readonly Field<Exclude<keyof MessageOf<Name> & string, "type" | "tag">>[]
type Layouts = { readonly [Name in MessageName]?: FieldsOf<Name> }

const fid = ["fid", "u32"] as const
const dfid = ["dfid", "u32"] as const
const name = ["name", "name"] as const
const gid = ["gid", "u32"] as const
const mode = ["mode", "u32"] as const
const qid = ["qid", "qid"] as const
const opened = [qid, ["iounit", "u32"]] as const
const version = [
  ["msize", "u32"],
  ["version", "text"],
] as const
const auth = [
  ["afid", "u32"],
  ["uname", "text"],
  ["aname", "text"],
] as const
const attach = [fid, ...auth] as const
const nUname = ["nUname", "u32"] as const
const error = [["ename", "text"]] as const
const create = [fid, name, ["perm", "u32"], ["mode", "u8"]] as const
const range = [
  ["start", "u64"],
  ["length", "u64"],
  ["procId", "u32"],
  ["clientId", "text"],
] as const

/** The same in all three. */
const everywhere = {
  Tversion: version,
  Rversion: version,
  Rauth: [["aqid", "qid"]],
  Rattach: [qid],
  Tflush: [["oldtag", "u16"]],
  Rflush: [],
  Twalk: [fid, ["newfid", "u32"], ["wname", "names"]],
  Rwalk: [["wqid", "qids"]],
  Tread: [fid, ["offset", "u64"], ["count", "u32"]],
  Rread: [["data", "data"]],
  Twrite: [fid, ["offset", "u64"], ["data", "data"]],
  Rwrite: [["count", "u32"]],
  Tclunk: [fid],
  Rclunk: [],
  Tremove: [fid],
  Rremove: [],
} as const satisfies Layouts

const files = {
  // Not of these dialects, but what servers answer to a Tversion that have .L alone.
  Rlerror: [["ecode", "u32"]],
  Topen: [fid, ["mode", "u8"]],
  Ropen: opened,
  Rcreate: opened,
  Tstat: [fid],
  Rstat: [["stat", "stat"]],
  Twstat: [fid, ["stat", "stat"]],
  Rwstat: [],
} as const satisfies Layouts

const plain: Layouts = { ...everywhere, ...files, Tauth: auth, Tattach: attach, Rerror: error, Tcreate: create }

const unix: Layouts = {
  ...everywhere,
  ...files,
  Tauth: [...auth, nUname],
  Tattach: [...attach, nUname],
  Rerror: [...error, ["errno", "u32"]],
  Tcreate: [...create, ["extension", "text"]],
}

const linux: Layouts = {
  ...everywhere,
  Tauth: [...auth, nUname],
  Tattach: [...attach, nUname],
  // Not of this dialect, but what servers answer that have none of its messages.
  Rerror: error,
  Rlerror: [["ecode", "u32"]],
  Tstatfs: [fid],
  Rstatfs: [
    ["fsType", "u32"],
    ["bsize", "u32"],
    ["blocks", "u64"],
    ["bfree", "u64"],
    ["bavail", "u64"],
    ["files", "u64"],
    ["ffree", "u64"],
    ["fsid", "u64"],
    ["namelen", "u32"],
  ],
  Tlopen: [fid, ["flags", "u32"]],
  Rlopen: opened,
  Tlcreate: [fid, name, ["flags", "u32"], mode, gid],
  Rlcreate: opened,
  Tsymlink: [fid, name, ["symtgt", "text"], gid],
  Rsymlink: [qid],
  Tmknod: [dfid, name, mode, ["major", "u32"], ["minor", "u32"], gid],
  Rmknod: [qid],
  Trename: [fid, dfid, name],
  Rrename: [],
  Treadlink: [fid],
  Rreadlink: [["target", "text"]],
  Tgetattr: [fid, ["requestMask", "u64"]],
  Rgetattr: [
    ["valid", "u64"],
    qid,
    mode,
    ["uid", "u32"],
    gid,
    ["nlink", "u64"],
    ["rdev", "u64"],
    ["size", "u64"],
    ["blksize", "u64"],
    ["blocks", "u64"],
    ["atimeSec", "u64"],
    ["atimeNsec", "u64"],
    ["mtimeSec", "u64"],
    ["mtimeNsec", "u64"],
    ["ctimeSec", "u64"],
    ["ctimeNsec", "u64"],
    ["btimeSec", "u64"],
    ["btimeNsec", "u64"],
    ["gen", "u64"],
    ["dataVersion", "u64"],
  ],
  Tsetattr: [
    fid,
    ["valid", "u32"],
    mode,
    ["uid", "u32"],
    gid,
    ["size", "u64"],
    ["atimeSec", "u64"],
    ["atimeNsec", "u64"],
    ["mtimeSec", "u64"],
    ["mtimeNsec", "u64"],
  ],
  Rsetattr: [],
  Txattrwalk: [fid, ["newfid", "u32"], ["name", "text"]],
  Rxattrwalk: [["size", "u64"]],
  Txattrcreate: [fid, ["name", "text"], ["attrSize", "u64"], ["flags", "u32"]],
  Rxattrcreate: [],
  Treaddir: [fid, ["offset", "u64"], ["count", "u32"]],
  Rreaddir: [["entries", "entries"]],
  Tfsync: [fid, ["datasync", "later"]],
  Rfsync: [],
  Tlock: [fid, ["lockType", "u8"], ["flags", "u32"], ...range],
  Rlock: [["status", "u8"]],
  Tgetlock: [fid, ["lockType", "u8"], ...range],
  Rgetlock: [["lockType", "u8"], ...range],
  Tlink: [dfid, fid, name],
  Rlink: [],
  Tmkdir: [dfid, name, mode, gid],
  Rmkdir: [qid],
  Trenameat: [
    ["olddirfid", "u32"],
    ["oldname", "name"],
    ["newdirfid", "u32"],
    ["newname", "name"],
  ],
  Rrenameat: [],
  Tunlinkat: [["dirfid", "u32"], name, ["flags", "u32"]],
  Runlinkat: [],
}

export const layouts: { readonly [D in Dialect]: { readonly [Name in MessageName]?: readonly Field[] } } = {
  "9P2000": plain,
  "9P2000.u": unix,
  "9P2000.L": linux,
}
