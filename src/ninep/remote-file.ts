/** A fid of the client: a file or folder of the server, and once it was opened the state of reading and writing it. */

import { emptyBytes, concat } from "../base/bytes.ts"
import { getattrBits, linuxOpen, openMode } from "./bits.ts"
import { writtenCount, type Calls } from "./client-calls.ts"
import { NinepError } from "./errno.ts"
import { IOHDRSZ, mostWalkElements, readHeaderBytes, type U64, type WireQid } from "./message.ts"
import type { Numbers } from "./numbers.ts"
import { fromGetattr, fromStat, toSetattr, toWstat, type RemoteAttributes } from "./remote-attributes.ts"
import { decodeStats } from "./stat-record.ts"
import { qidType, type AttributeChanges, type OpenMode } from "./tree.ts"

export interface RemoteEntry {
  readonly name: string
  readonly qid: WireQid
}

/** Entries of a folder that are taken; more are `ENOBUFS`. */
const mostEntries = 262_144

/** What is absent is false. */
export type RemoteMode = Partial<OpenMode>

export class RemoteFile {
  readonly #calls: Calls
  readonly #fids: Numbers
  readonly fid: number
  #qid: WireQid
  #iounit = 0
  #gone: Promise<void> | undefined

  /** The fid is in use at the server already, and taken from `fids`. */
  constructor(calls: Calls, fids: Numbers, fid: number, qid: WireQid) {
    this.#calls = calls
    this.#fids = fids
    this.fid = fid
    this.#qid = qid
  }

  get qid(): WireQid {
    return this.#qid
  }

  get isFolder(): boolean {
    return (this.#qid.type & qidType.folder) !== 0
  }

  /** The most that one Tread or Twrite moves. */
  get mostBytes(): number {
    const room = this.#calls.msize - IOHDRSZ
    return this.#iounit === 0 ? room : Math.min(this.#iounit, room)
  }

  /** A new fid that stands for what lies that way from here. Throws `ENOENT` where a name is missing, `EMFILE`. */
  async walk(names: readonly string[], signal?: AbortSignal): Promise<RemoteFile> {
    const fid = this.#fids.take()
    if (fid === undefined) throw new NinepError("EMFILE", "Too many 9P fids are in use")
    let reached: RemoteFile | undefined
    try {
      let at = 0
      do {
        const from = reached ?? this
        const wname = names.slice(at, at + mostWalkElements)
        const { wqid } = await this.#calls.ask({ type: "Twalk", tag: 0, fid: from.fid, newfid: fid, wname }, signal)
        if (wqid.length !== wname.length)
          throw new NinepError("ENOENT", `There is no ${names.slice(0, at + wqid.length + 1).join("/")}`)
        reached = new RemoteFile(this.#calls, this.#fids, fid, wqid.at(-1) ?? from.qid)
        at += wname.length
      } while (at < names.length)
      return reached
    } catch (error) {
      if (reached === undefined) this.#fids.give(fid)
      else await reached.leave()
      throw error
    }
  }

  async open(mode: RemoteMode, signal?: AbortSignal): Promise<void> {
    const { fid } = this
    const calls = this.#calls
    const linux = this.isFolder ? linuxOpen.DIRECTORY : linuxFlags(mode)
    const { qid, iounit } =
      calls.dialect === "9P2000.L"
        ? await calls.ask({ type: "Tlopen", tag: 0, fid, flags: linux }, signal)
        : await calls.ask({ type: "Topen", tag: 0, fid, mode: this.#classicMode(mode) }, signal)
    this.#qid = qid
    this.#iounit = iounit
  }

  /**
   * Makes a file in this folder and opens it: this fid stands for the file from then on. `EEXIST` when the name is taken,
   * in all dialects: .L alone would open what is there.
   */
  async create(name: string, permissions: number, mode: RemoteMode, signal?: AbortSignal): Promise<void> {
    const { fid } = this
    const calls = this.#calls
    const flags = linuxFlags(mode) | linuxOpen.CREAT | linuxOpen.EXCL
    const { qid, iounit } =
      calls.dialect === "9P2000.L"
        ? await calls.ask({ type: "Tlcreate", tag: 0, fid, name, flags, mode: permissions, gid: 0 }, signal)
        : await calls.ask(
            { type: "Tcreate", tag: 0, fid, name, perm: permissions, mode: this.#classicMode(mode), extension: "" },
            signal,
          )
    this.#qid = qid
    this.#iounit = iounit
  }

  /** One Tread: at most `count` bytes, and never more than `mostBytes`. Empty at the end of the file. */
  async read(offset: number, count: number = this.mostBytes, signal?: AbortSignal): Promise<Uint8Array> {
    const calls = this.#calls
    const most = Math.min(count, this.mostBytes)
    return calls.promise(
      (reply) => calls.read(this.fid, offset, most, reply),
      (answer) => {
        if (answer.length - readHeaderBytes > most)
          throw new NinepError("EPROTO", "The 9P server has sent more bytes than it was asked for")
        return answer.slice(readHeaderBytes)
      },
      signal,
    )
  }

  /** One Twrite of at most `mostBytes`; the count that was written. */
  async write(offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<number> {
    const calls = this.#calls
    while (calls.full) await calls.room()
    const most = bytes.length > this.mostBytes ? bytes.subarray(0, this.mostBytes) : bytes
    return calls.promise(
      (reply) => calls.write(this.fid, offset, most, reply),
      (answer) => Math.min(writtenCount(answer, 0), most.length),
      signal,
    )
  }

  /** From `offset` to the first empty Rread. Throws `EMSGSIZE` when it is longer than `limit`. */
  async readAll(limit: number, offset = 0, signal?: AbortSignal): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let length = 0
    for (;;) {
      const part = await this.read(offset + length, this.mostBytes, signal)
      if (part.length === 0) return parts.length === 0 ? emptyBytes : concat(parts, length)
      length += part.length
      if (length > limit) throw new NinepError("EMSGSIZE", `The file is longer than ${limit} bytes`)
      parts.push(part)
    }
  }

  /** All of it, in as many Twrites as it takes. Throws `EIO` when the server takes nothing. */
  async writeAll(bytes: Uint8Array, offset = 0, signal?: AbortSignal): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const written = await this.write(offset + at, bytes.subarray(at), signal)
      if (written === 0) throw new NinepError("EIO", "The 9P server has taken nothing of a write")
      at += written
    }
  }

  /** Tfsync; a Twstat that changes nothing where there is none: stat(5). */
  async sync(signal?: AbortSignal): Promise<void> {
    const { fid } = this
    if (this.#calls.dialect === "9P2000.L") await this.#calls.ask({ type: "Tfsync", tag: 0, fid, datasync: 0 }, signal)
    else await this.#calls.ask({ type: "Twstat", tag: 0, fid, stat: toWstat({}, this.isFolder) }, signal)
  }

  async attributes(signal?: AbortSignal): Promise<RemoteAttributes> {
    const { fid } = this
    if (this.#calls.dialect !== "9P2000.L")
      return fromStat((await this.#calls.ask({ type: "Tstat", tag: 0, fid }, signal)).stat)
    return fromGetattr(await this.#calls.ask({ type: "Tgetattr", tag: 0, fid, requestMask: getattrBits.BASIC }, signal))
  }

  /** A new name needs 9P2000 or .u, or `NinepClient.rename`: `EOPNOTSUPP`. */
  async change(changes: AttributeChanges, signal?: AbortSignal): Promise<void> {
    const { fid } = this
    if (this.#calls.dialect !== "9P2000.L") {
      await this.#calls.ask({ type: "Twstat", tag: 0, fid, stat: toWstat(changes, this.isFolder) }, signal)
      return
    }
    if (changes.name !== undefined) throw new NinepError("EOPNOTSUPP", "9P2000.L renames by Trenameat")
    await this.#calls.ask({ type: "Tsetattr", tag: 0, fid, ...toSetattr(changes) }, signal)
  }

  /** What this opened folder has, without `.` and `..`. */
  async entries(signal?: AbortSignal): Promise<RemoteEntry[]> {
    const entries: RemoteEntry[] = []
    let offset: U64 = 0
    for (;;) {
      const { found, next } = await this.#entriesFrom(offset, signal)
      if (found.length === 0) return entries
      for (const { name, qid } of found) if (name !== "." && name !== "..") entries.push({ name, qid })
      if (entries.length > mostEntries)
        throw new NinepError("ENOBUFS", `More than ${mostEntries} files are in one folder`)
      offset = next
    }
  }

  async #entriesFrom(offset: U64, signal: AbortSignal | undefined): Promise<Listed> {
    const { fid, mostBytes } = this
    if (this.#calls.dialect === "9P2000.L") {
      const { entries } = await this.#calls.ask({ type: "Treaddir", tag: 0, fid, offset, count: mostBytes }, signal)
      return { found: entries, next: entries.at(-1)?.offset ?? offset }
    }
    const part = await this.read(Number(offset), mostBytes, signal)
    return { found: decodeStats(part, this.#calls.dialect), next: Number(offset) + part.length }
  }

  /** Removes the file; the fid is gone in any case. */
  async remove(signal?: AbortSignal): Promise<void> {
    await this.#leaveBy("Tremove", signal)
  }

  /** The fid goes. Once is enough; a second call waits for the first. */
  clunk(): Promise<void> {
    return this.#leaveBy("Tclunk")
  }

  /** As `clunk`, where nobody needs to know how it ended: the fid is gone in any case. */
  async leave(): Promise<void> {
    await this.clunk().catch(() => undefined)
  }

  #leaveBy(type: "Tclunk" | "Tremove", signal?: AbortSignal): Promise<void> {
    this.#gone ??= this.#calls.ask({ type, tag: 0, fid: this.fid }, signal).then(
      () => this.#fids.give(this.fid),
      (error: unknown) => {
        // Whoever withdraws a Tremove does not know whether the fid is there still.
        if (error instanceof NinepError) this.#fids.give(this.fid)
        throw error
      },
    )
    return this.#gone
  }

  #classicMode(mode: RemoteMode): number {
    if (this.isFolder && mode.write !== true) return openMode.OREAD
    let bits: number = mode.write === true ? (mode.read === true ? openMode.ORDWR : openMode.OWRITE) : openMode.OREAD
    if (mode.truncate === true) bits |= openMode.OTRUNC
    if (mode.append === true && this.#calls.dialect === "9P2000.u") bits |= openMode.OAPPEND
    return bits
  }
}

interface Listed {
  readonly found: readonly RemoteEntry[]
  readonly next: U64
}

function linuxFlags(mode: RemoteMode): number {
  let flags: number = mode.write === true ? (mode.read === true ? linuxOpen.RDWR : linuxOpen.WRONLY) : linuxOpen.RDONLY
  if (mode.truncate === true) flags |= linuxOpen.TRUNC
  if (mode.append === true) flags |= linuxOpen.APPEND
  return flags
}
