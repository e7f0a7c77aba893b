/**
 * What each fid of the client stands for: enough to make it again on another connection. It follows the answers, because a
 * request without one has not happened as far as the client knows.
 */

import { linuxOpen, lockType, openMode } from "../../../ninep/bits.ts"
import { u32At } from "../../../ninep/byte-reader.ts"
import { decode } from "../../../ninep/codec.ts"
import { IOHDRSZ, messageType } from "../../../ninep/message.ts"
import type { Dialect, Request, Tlock, U64, WireQid } from "../../../ninep/message.ts"
import { qidType } from "../../../ninep/tree.ts"
import type { Failure } from "./answers.ts"
import type { Pending } from "./request.ts"

/** Who attached where: fids that came from attaches of the same words have the same root. */
export interface Attachment {
  readonly uname: string
  readonly aname: string
  readonly nUname: number | undefined
}

export interface Opening {
  /** As the client gave it, but for what must not happen again: truncation, creation. */
  readonly mode: number
  readonly qid: WireQid
}

export interface Fid {
  readonly number: number
  readonly attachment: Attachment
  /** From the root of the attach. */
  path: readonly string[]
  opening: Opening | undefined
  /** It stands for extended attributes of the path: read these; `undefined` for the file itself. */
  readonly xattr: string | undefined
  /** It could not be made again; all that asks for it gets this. */
  failure: Failure | undefined
  /** Where the last answer of a stream or folder ended, how much it held, how much was asked for. */
  end: U64
  got: number
  asked: number
  /** Something was read since it was opened or written. */
  hasHad: boolean
  /** What the next read at `end` gets without being asked upstream, because the server has forgotten what it knew. */
  resumption: "end" | "broken" | undefined
  /** It has had the one thing that it can be read for, from a server that has forgotten that: all reads are empty. */
  isSpent: boolean
  /** A folder that is listed by bytes: offsets upstream are lower by this. */
  skew: number
  /** Writes that count later; replayed when the file is opened again. Undefined once they were too many. */
  journal: Uint8Array[] | undefined
  journalBytes: number
  /** Held through this fid. */
  locks: Tlock[]
}

export class FidTable {
  readonly #fids: Map<number, Fid> = new Map()
  readonly #journalBytes: number
  /** Of the conversation. */
  dialect: Dialect = "9P2000"
  msize = 0

  constructor(journalBytes: number) {
    this.#journalBytes = journalBytes
  }

  get size(): number {
    return this.#fids.size
  }

  get(number: number): Fid | undefined {
    return this.#fids.get(number)
  }

  all(): Iterable<Fid> {
    return this.#fids.values()
  }

  delete(number: number): void {
    this.#fids.delete(number)
  }

  clear(): void {
    this.#fids.clear()
  }

  /** A fid that nobody has; clients count up from 0. */
  unused(): number {
    let number = 0xffff_fffe
    while (this.#fids.has(number)) number--
    return number
  }

  /** Takes note of the answer `bytes[start, end)` to a request; errors change nothing but what is said in clunk(5). */
  apply(pending: Pending, bytes: Uint8Array, start: number, end: number): void {
    const { type } = pending
    if (type === messageType.Tread || type === messageType.Twrite) {
      if (bytes[start + 4] === type + 1) this.#applyData(pending, u32At(bytes, start + 7))
      return
    }
    // Both are over for the fid, whatever the answer says.
    if (type === messageType.Tclunk || type === messageType.Tremove) {
      this.#fids.delete(pending.fid)
      return
    }
    if (bytes[start + 4] !== type + 1) return
    if (type === messageType.Tfsync) {
      const fid = this.#fids.get(pending.fid)
      if (fid !== undefined) forgetJournal(fid)
    } else if (pending.request !== undefined) this.#applyRead(pending.request, bytes.subarray(start, end))
  }

  #applyData(pending: Pending, count: number): void {
    const fid = this.#fids.get(pending.fid)
    if (fid === undefined || fid.opening === undefined) return
    if (pending.type === messageType.Twrite) {
      fid.isSpent = false
      fid.hasHad = false
      if (isPut(fid) || isSelect(fid)) this.#keep(fid, pending.bytes)
      return
    }
    if (!isStream(fid) && !isFolder(fid)) return
    const { offset } = pending
    fid.end = typeof offset === "number" ? offset + count : offset + BigInt(count)
    fid.got = count
    fid.asked = pending.count
    if (count === 0) return
    fid.hasHad = true
    if (isSelect(fid)) forgetJournal(fid)
  }

  #keep(fid: Fid, bytes: Uint8Array): void {
    fid.journalBytes += bytes.length
    if (fid.journalBytes > this.#journalBytes) fid.journal = undefined
    fid.journal?.push(bytes)
  }

  #applyRead(request: Request, bytes: Uint8Array): void {
    switch (request.type) {
      case "Tattach": {
        const { uname, aname, nUname } = request
        this.#put(request.fid, { uname, aname, nUname }, [])
        return
      }
      case "Twalk": {
        const answer = decode(bytes, this.dialect, "R")
        const fid = this.#fids.get(request.fid)
        if (fid === undefined || answer.type !== "Rwalk" || answer.wqid.length < request.wname.length) return
        this.#put(request.newfid, fid.attachment, resolved(fid.path, request.wname))
        return
      }
      case "Txattrwalk": {
        const fid = this.#fids.get(request.fid)
        if (fid !== undefined) this.#put(request.newfid, fid.attachment, fid.path, request.name)
        return
      }
      case "Txattrcreate": {
        const fid = this.#fids.get(request.fid)
        if (fid === undefined) return
        // What it holds comes by writes; a server that has lost them has nothing to go on with.
        this.#put(request.fid, fid.attachment, fid.path, request.name).journal = undefined
        return
      }
      case "Topen":
      case "Tlopen":
      case "Tcreate":
      case "Tlcreate":
        return this.#applyOpen(request, bytes)
      case "Trename": {
        const [fid, folder] = [this.#fids.get(request.fid), this.#fids.get(request.dfid)]
        if (fid && folder) this.rename(fid.attachment, fid.path, [...folder.path, request.name])
        return
      }
      case "Trenameat": {
        const [from, to] = [this.#fids.get(request.olddirfid), this.#fids.get(request.newdirfid)]
        if (from && to) this.rename(from.attachment, [...from.path, request.oldname], [...to.path, request.newname])
        return
      }
      case "Twstat": {
        const fid = this.#fids.get(request.fid)
        const { name } = request.stat
        if (fid && name !== "" && fid.path.length > 0)
          this.rename(fid.attachment, fid.path, [...fid.path.slice(0, -1), name])
        return
      }
      case "Tlock":
        return this.#applyLock(request, bytes)
      default:
    }
  }

  #applyOpen(request: Request & { readonly fid: number }, bytes: Uint8Array): void {
    const fid = this.#fids.get(request.fid)
    const answer = decode(bytes, this.dialect, "R")
    if (fid === undefined || !("qid" in answer)) return
    if (request.type === "Tcreate" || request.type === "Tlcreate") fid.path = [...fid.path, request.name]
    fid.opening = { mode: againMode(request), qid: answer.qid }
    fid.end = 0
    fid.got = 0
    fid.hasHad = false
  }

  #applyLock(request: Tlock, bytes: Uint8Array): void {
    const fid = this.#fids.get(request.fid)
    const answer = decode(bytes, this.dialect, "R")
    if (fid === undefined || answer.type !== "Rlock" || answer.status !== 0) return
    fid.locks = fid.locks.filter(
      ({ start, length, procId, clientId }) =>
        start !== request.start ||
        length !== request.length ||
        procId !== request.procId ||
        clientId !== request.clientId,
    )
    // Beyond that it is a data base, and no locks are held through the loss of its server.
    if (request.lockType !== lockType.UNLCK && fid.locks.length < mostLocks) fid.locks.push(request)
    else if (request.lockType === lockType.UNLCK && request.start === 0 && request.length === 0) fid.locks = []
  }

  #put(number: number, attachment: Attachment, path: readonly string[], xattr?: string): Fid {
    const fid: Fid = {
      number,
      attachment,
      path,
      opening: undefined,
      xattr,
      failure: undefined,
      end: 0,
      got: 0,
      asked: 0,
      hasHad: false,
      resumption: undefined,
      isSpent: false,
      skew: 0,
      journal: [],
      journalBytes: 0,
      locks: [],
    }
    this.#fids.set(number, fid)
    return fid
  }

  /** A file or folder has another name: all fids on it and below follow. */
  rename(attachment: Attachment, from: readonly string[], to: readonly string[]): void {
    for (const fid of this.#fids.values()) {
      if (isSameAttachment(fid.attachment, attachment) && isBelow(fid.path, from))
        fid.path = [...to, ...fid.path.slice(from.length)]
    }
  }
}

const mostLocks = 256

/**
 * Before the fids are made again: what the server knew beside their paths is gone. A message that a stream has delivered
 * whole is followed by its end, once; the rest of one that it has delivered in part is lost with the server.
 */
export function forgetServer(fid: Fid, msize: number): void {
  if (fid.opening === undefined || !isStream(fid) || fid.got === 0) return
  // A full answer may leave out the last byte, so that the client asks again.
  const isWhole = fid.got < fid.asked && !(fid.got === fid.asked - 1 && fid.asked >= msize - IOHDRSZ)
  fid.resumption = isWhole ? "end" : "broken"
  fid.got = 0
}

/** A file that 9P tells not to cache: its bytes are not those that stood there before. */
export function isStream({ opening }: Fid): boolean {
  return opening !== undefined && opening.qid.version === 0 && (opening.qid.type & qidType.folder) === 0
}

export function isFolder({ opening }: Fid): boolean {
  return opening !== undefined && (opening.qid.type & qidType.folder) !== 0
}

/** A channel file that gives one thing and then its end. */
export function isOneShot(fid: Fid): boolean {
  return isSelect(fid) || isRole(fid, /^next(@|$)/)
}

/** Its writes are one message at the close. */
function isPut(fid: Fid): boolean {
  return isRole(fid, /^put(@|$)/)
}

function isRole(fid: Fid, role: RegExp): boolean {
  const [folder, file] = fid.path.slice(-2)
  return isStream(fid) && file !== undefined && role.test(file) && (folder as string).endsWith(".d")
}

/** Its writes are the cases for the next read. */
function isSelect(fid: Fid): boolean {
  return isStream(fid) && fid.path.length >= 2 && fid.path.at(-2) === "select"
}

function forgetJournal(fid: Fid): void {
  fid.journal = []
  fid.journalBytes = 0
}

export function isSameAttachment(a: Attachment, b: Attachment): boolean {
  return a === b || (a.uname === b.uname && a.aname === b.aname && a.nUname === b.nUname)
}

/** Or the same. */
export function isBelow(path: readonly string[], top: readonly string[]): boolean {
  return path.length >= top.length && top.every((name, at) => path[at] === name)
}

/** `..` of the root is the root: walk(5). */
function resolved(path: readonly string[], names: readonly string[]): readonly string[] {
  if (names.length === 0) return path
  const whole = [...path]
  for (const name of names) {
    if (name === "..") whole.pop()
    else whole.push(name)
  }
  return whole
}

function againMode(request: Request): number {
  if (request.type === "Topen" || request.type === "Tcreate") return request.mode & ~openMode.OTRUNC
  if (request.type === "Tlopen" || request.type === "Tlcreate")
    return request.flags & ~(linuxOpen.CREAT | linuxOpen.EXCL | linuxOpen.TRUNC)
  return 0
}
