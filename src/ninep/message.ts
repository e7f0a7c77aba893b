/**
 * The messages of 9P as plain objects: 9P2000 (section 5 of the Plan 9 manual), 9P2000.u (its Unix extension) and 9P2000.L
 * (Linux's own set). Fields have the manual's names. A field of 64 bits is a number while that is exact and a bigint
 * beyond: own values never are that large, those of foreign servers (hashes as folder offsets, qid paths) may be.
 */

export type Dialect = "9P2000" | "9P2000.u" | "9P2000.L"

/** Whole numbers of 64 bits: a number up to 2^53 - 1, a bigint above. */
export type U64 = number | bigint

/** The tag of Tversion: version(5). */
export const NOTAG = 0xffff
/** "No fid", as the afid of an attach without authentication: attach(5). */
export const NOFID = 0xffff_ffff
/** "No number", as the n_uname of an attach by name alone. */
export const NONUNAME = 0xffff_ffff

/** `size[4] type[1] tag[2]`. */
export const headerBytes = 7
/** What a Twrite or Rread is larger than its data, rounded up as Plan 9's IOHDRSZ: the room that clients leave. */
export const IOHDRSZ = 24
/** `size[4] type[1] tag[2] fid[4] offset[8] count[4]`, before the data of a Twrite. */
export const writeHeaderBytes = 23
/** `size[4] type[1] tag[2] count[4]`, before the data of an Rread. */
export const readHeaderBytes = 11
/** Elements of one Twalk: walk(5), MAXWELEM. */
export const mostWalkElements = 16

/** The numbers on the wire. An answer's is its request's plus one. */
export const messageType = {
  Rlerror: 7,
  Tstatfs: 8,
  Rstatfs: 9,
  Tlopen: 12,
  Rlopen: 13,
  Tlcreate: 14,
  Rlcreate: 15,
  Tsymlink: 16,
  Rsymlink: 17,
  Tmknod: 18,
  Rmknod: 19,
  Trename: 20,
  Rrename: 21,
  Treadlink: 22,
  Rreadlink: 23,
  Tgetattr: 24,
  Rgetattr: 25,
  Tsetattr: 26,
  Rsetattr: 27,
  Txattrwalk: 30,
  Rxattrwalk: 31,
  Txattrcreate: 32,
  Rxattrcreate: 33,
  Treaddir: 40,
  Rreaddir: 41,
  Tfsync: 50,
  Rfsync: 51,
  Tlock: 52,
  Rlock: 53,
  Tgetlock: 54,
  Rgetlock: 55,
  Tlink: 70,
  Rlink: 71,
  Tmkdir: 72,
  Rmkdir: 73,
  Trenameat: 74,
  Rrenameat: 75,
  Tunlinkat: 76,
  Runlinkat: 77,
  Tversion: 100,
  Rversion: 101,
  Tauth: 102,
  Rauth: 103,
  Tattach: 104,
  Rattach: 105,
  Rerror: 107,
  Tflush: 108,
  Rflush: 109,
  Twalk: 110,
  Rwalk: 111,
  Topen: 112,
  Ropen: 113,
  Tcreate: 114,
  Rcreate: 115,
  Tread: 116,
  Rread: 117,
  Twrite: 118,
  Rwrite: 119,
  Tclunk: 120,
  Rclunk: 121,
  Tremove: 122,
  Rremove: 123,
  Tstat: 124,
  Rstat: 125,
  Twstat: 126,
  Rwstat: 127,
} as const

export type MessageName = keyof typeof messageType

/** A qid as it comes over the wire; those of `tree.ts` are a special case. */
export interface WireQid {
  readonly type: number
  readonly version: number
  readonly path: U64
}

/** A stat record: stat(5). In a Twstat `""` and all bits set mean "as it is". */
export interface Stat {
  /** For kernels. */
  readonly type: number
  readonly dev: number
  readonly qid: WireQid
  readonly mode: number
  readonly atime: number
  readonly mtime: number
  readonly length: U64
  readonly name: string
  readonly uid: string
  readonly gid: string
  readonly muid: string
  /** 9P2000.u, where all four are present: the target of a symbolic link, the facts of a device. */
  readonly extension?: string
  readonly nUid?: number
  readonly nGid?: number
  readonly nMuid?: number
}

/** One entry of Rreaddir. `offset` is what the next Treaddir asks with; `type` a DT_ number of Linux. */
export interface FolderEntry {
  readonly qid: WireQid
  readonly offset: U64
  readonly type: number
  readonly name: string
}

interface Of<Name extends MessageName> {
  readonly type: Name
  readonly tag: number
}
interface OnFid<Name extends MessageName> extends Of<Name> {
  readonly fid: number
}
interface WithQid<Name extends MessageName> extends Of<Name> {
  readonly qid: WireQid
}
interface Opened<Name extends MessageName> extends WithQid<Name> {
  /** The most bytes of one Tread or Twrite; 0: what the message size allows. */
  readonly iounit: number
}

export interface Tversion extends Of<"Tversion"> {
  readonly msize: number
  readonly version: string
}
export interface Rversion extends Of<"Rversion"> {
  readonly msize: number
  readonly version: string
}
export interface Tauth extends Of<"Tauth"> {
  readonly afid: number
  readonly uname: string
  readonly aname: string
  /** 9P2000.u and .L, as in Tattach: the user's number. */
  readonly nUname?: number
}
export interface Rauth extends Of<"Rauth"> {
  readonly aqid: WireQid
}
export interface Tattach extends OnFid<"Tattach"> {
  readonly afid: number
  readonly uname: string
  readonly aname: string
  readonly nUname?: number
}
export type Rattach = WithQid<"Rattach">
/** 9P2000 and .u. */
export interface Rerror extends Of<"Rerror"> {
  readonly ename: string
  /** 9P2000.u. */
  readonly errno?: number
}
/** 9P2000.L: Linux's number of the error. */
export interface Rlerror extends Of<"Rlerror"> {
  readonly ecode: number
}
export interface Tflush extends Of<"Tflush"> {
  readonly oldtag: number
}
export type Rflush = Of<"Rflush">
export interface Twalk extends OnFid<"Twalk"> {
  readonly newfid: number
  readonly wname: readonly string[]
}
export interface Rwalk extends Of<"Rwalk"> {
  readonly wqid: readonly WireQid[]
}
export interface Topen extends OnFid<"Topen"> {
  readonly mode: number
}
export type Ropen = Opened<"Ropen">
export interface Tcreate extends OnFid<"Tcreate"> {
  readonly name: string
  readonly perm: number
  readonly mode: number
  /** 9P2000.u. */
  readonly extension?: string
}
export type Rcreate = Opened<"Rcreate">
export interface Tread extends OnFid<"Tread"> {
  readonly offset: U64
  readonly count: number
}
export interface Rread extends Of<"Rread"> {
  readonly data: Uint8Array
}
export interface Twrite extends OnFid<"Twrite"> {
  readonly offset: U64
  readonly data: Uint8Array
}
export interface Rwrite extends Of<"Rwrite"> {
  readonly count: number
}
export type Tclunk = OnFid<"Tclunk">
export type Rclunk = Of<"Rclunk">
export type Tremove = OnFid<"Tremove">
export type Rremove = Of<"Rremove">
export type Tstat = OnFid<"Tstat">
export interface Rstat extends Of<"Rstat"> {
  readonly stat: Stat
}
export interface Twstat extends OnFid<"Twstat"> {
  readonly stat: Stat
}
export type Rwstat = Of<"Rwstat">

export type Tstatfs = OnFid<"Tstatfs">
/** Fields as in statfs(2). */
export interface Rstatfs extends Of<"Rstatfs"> {
  readonly fsType: number
  readonly bsize: number
  readonly blocks: U64
  readonly bfree: U64
  readonly bavail: U64
  readonly files: U64
  readonly ffree: U64
  readonly fsid: U64
  readonly namelen: number
}
export interface Tlopen extends OnFid<"Tlopen"> {
  /** Linux's open flags. */
  readonly flags: number
}
export type Rlopen = Opened<"Rlopen">
export interface Tlcreate extends OnFid<"Tlcreate"> {
  readonly name: string
  readonly flags: number
  readonly mode: number
  readonly gid: number
}
export type Rlcreate = Opened<"Rlcreate">
export interface Tsymlink extends OnFid<"Tsymlink"> {
  readonly name: string
  readonly symtgt: string
  readonly gid: number
}
export type Rsymlink = WithQid<"Rsymlink">
export interface Tmknod extends Of<"Tmknod"> {
  readonly dfid: number
  readonly name: string
  readonly mode: number
  readonly major: number
  readonly minor: number
  readonly gid: number
}
export type Rmknod = WithQid<"Rmknod">
export interface Trename extends OnFid<"Trename"> {
  readonly dfid: number
  readonly name: string
}
export type Rrename = Of<"Rrename">
export type Treadlink = OnFid<"Treadlink">
export interface Rreadlink extends Of<"Rreadlink"> {
  readonly target: string
}
export interface Tgetattr extends OnFid<"Tgetattr"> {
  readonly requestMask: U64
}
/** Times are seconds since 1970 and nanoseconds. */
export interface Rgetattr extends WithQid<"Rgetattr"> {
  readonly valid: U64
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly nlink: U64
  readonly rdev: U64
  readonly size: U64
  readonly blksize: U64
  readonly blocks: U64
  readonly atimeSec: U64
  readonly atimeNsec: U64
  readonly mtimeSec: U64
  readonly mtimeNsec: U64
  readonly ctimeSec: U64
  readonly ctimeNsec: U64
  readonly btimeSec: U64
  readonly btimeNsec: U64
  readonly gen: U64
  readonly dataVersion: U64
}
export interface Tsetattr extends OnFid<"Tsetattr"> {
  /** Which of the fields mean something: `setattrBits`. */
  readonly valid: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: U64
  readonly atimeSec: U64
  readonly atimeNsec: U64
  readonly mtimeSec: U64
  readonly mtimeNsec: U64
}
export type Rsetattr = Of<"Rsetattr">
export interface Txattrwalk extends OnFid<"Txattrwalk"> {
  readonly newfid: number
  /** Empty: the list of names. */
  readonly name: string
}
export interface Rxattrwalk extends Of<"Rxattrwalk"> {
  readonly size: U64
}
export interface Txattrcreate extends OnFid<"Txattrcreate"> {
  readonly name: string
  readonly attrSize: U64
  readonly flags: number
}
export type Rxattrcreate = Of<"Rxattrcreate">
export interface Treaddir extends OnFid<"Treaddir"> {
  readonly offset: U64
  readonly count: number
}
export interface Rreaddir extends Of<"Rreaddir"> {
  readonly entries: readonly FolderEntry[]
}
export interface Tfsync extends OnFid<"Tfsync"> {
  /** Sent by Linux, absent with older clients. */
  readonly datasync?: number
}
export type Rfsync = Of<"Rfsync">
export interface Tlock extends OnFid<"Tlock"> {
  readonly lockType: number
  readonly flags: number
  readonly start: U64
  readonly length: U64
  readonly procId: number
  readonly clientId: string
}
export interface Rlock extends Of<"Rlock"> {
  readonly status: number
}
export interface Tgetlock extends OnFid<"Tgetlock"> {
  readonly lockType: number
  readonly start: U64
  readonly length: U64
  readonly procId: number
  readonly clientId: string
}
export interface Rgetlock extends Of<"Rgetlock"> {
  readonly lockType: number
  readonly start: U64
  readonly length: U64
  readonly procId: number
  readonly clientId: string
}
export interface Tlink extends OnFid<"Tlink"> {
  readonly dfid: number
  readonly name: string
}
export type Rlink = Of<"Rlink">
export interface Tmkdir extends Of<"Tmkdir"> {
  readonly dfid: number
  readonly name: string
  readonly mode: number
  readonly gid: number
}
export type Rmkdir = WithQid<"Rmkdir">
export interface Trenameat extends Of<"Trenameat"> {
  readonly olddirfid: number
  readonly oldname: string
  readonly newdirfid: number
  readonly newname: string
}
export type Rrenameat = Of<"Rrenameat">
export interface Tunlinkat extends Of<"Tunlinkat"> {
  readonly dirfid: number
  readonly name: string
  /** 0x200 (AT_REMOVEDIR): it shall be a folder. */
  readonly flags: number
}
export type Runlinkat = Of<"Runlinkat">

/** What a client sends. */
export type Request =
  | Tversion
  | Tauth
  | Tattach
  | Tflush
  | Twalk
  | Topen
  | Tcreate
  | Tread
  | Twrite
  | Tclunk
  | Tremove
  | Tstat
  | Twstat
  | Tstatfs
  | Tlopen
  | Tlcreate
  | Tsymlink
  | Tmknod
  | Trename
  | Treadlink
  | Tgetattr
  | Tsetattr
  | Txattrwalk
  | Txattrcreate
  | Treaddir
  | Tfsync
  | Tlock
  | Tgetlock
  | Tlink
  | Tmkdir
  | Trenameat
  | Tunlinkat

/** What a server answers. */
export type Answer =
  | Rversion
  | Rauth
  | Rattach
  | Rerror
  | Rlerror
  | Rflush
  | Rwalk
  | Ropen
  | Rcreate
  | Rread
  | Rwrite
  | Rclunk
  | Rremove
  | Rstat
  | Rwstat
  | Rstatfs
  | Rlopen
  | Rlcreate
  | Rsymlink
  | Rmknod
  | Rrename
  | Rreadlink
  | Rgetattr
  | Rsetattr
  | Rxattrwalk
  | Rxattrcreate
  | Rreaddir
  | Rfsync
  | Rlock
  | Rgetlock
  | Rlink
  | Rmkdir
  | Rrenameat
  | Runlinkat

export type Message = Request | Answer
export type MessageOf<Name extends MessageName> = Extract<Message, { readonly type: Name }>
