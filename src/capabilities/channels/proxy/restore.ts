/**
 * The conversation of a client, made again on a fresh connection: the same version, then each attach, walk and open that
 * its fids stand for. A fid that cannot be made is told from then on by its failure, and nothing else breaks by it.
 */

import { RdvError } from "../../../base/error.ts"
import { getattrBits } from "../../../ninep/bits.ts"
import { u64At } from "../../../ninep/byte-reader.ts"
import { IOHDRSZ, mostWalkElements, NOFID, writeHeaderBytes } from "../../../ninep/message.ts"
import type { Answer } from "../../../ninep/message.ts"
import { failureIn, failureOf } from "./answers.ts"
import type { Failure } from "./answers.ts"
import type { Call } from "./caller.ts"
import { forgetServer, isBelow, isFolder, isOneShot, isSameAttachment } from "./fid-table.ts"
import type { Attachment, Fid, FidTable } from "./fid-table.ts"

/** Of the client's version: the server must grant it again. */
export interface Agreed {
  readonly msize: number
  readonly version: string
}

/** A rename without an answer: what it moves may be at either place. */
export interface Move {
  readonly attachment: Attachment
  readonly from: readonly string[]
  readonly to: readonly string[]
}

/** So many fids are made at once. */
const abreast = 32

/** Rejects with `version` when the server has another opinion now, and with what the calls reject with. */
export async function restore(call: Call, table: FidTable, agreed: Agreed, moves: readonly Move[]): Promise<void> {
  const version = await call({ type: "Tversion", msize: agreed.msize, version: agreed.version })
  if (version.type !== "Rversion" || version.version !== agreed.version || version.msize < agreed.msize) {
    const now = version.type === "Rversion" ? `${version.version} with msize ${version.msize}` : version.type
    throw new RdvError("version", `The 9P server says ${now} now, and said ${agreed.version} with ${agreed.msize}`, {
      mend: "mount again",
    })
  }
  const groups: Fid[][] = []
  for (const fid of table.all()) {
    if (fid.failure !== undefined) continue
    forgetServer(fid, table.msize)
    const group = groups.find(([first]) => isSameAttachment((first as Fid).attachment, fid.attachment))
    if (group === undefined) groups.push([fid])
    else group.push(fid)
  }
  const restoring = new Restoring(call, table, moves)
  for (const group of groups) await restoring.group(group)
}

class Restoring {
  readonly #call: Call
  readonly #table: FidTable
  readonly #moves: readonly Move[]

  constructor(call: Call, table: FidTable, moves: readonly Move[]) {
    this.#call = call
    this.#table = table
    this.#moves = moves
  }

  /** All fids of one attach: one of them is attached, the others walk from it before it moves itself. */
  async group(fids: readonly Fid[]): Promise<void> {
    const base = fids.find(({ path, opening }) => path.length === 0 && opening === undefined) ?? (fids[0] as Fid)
    const { uname, aname, nUname } = base.attachment
    const user = nUname === undefined ? {} : { nUname }
    const attached = await this.#call({ type: "Tattach", fid: base.number, afid: NOFID, uname, aname, ...user })
    const failure = failureIn(attached)
    if (failure !== undefined) {
      for (const fid of fids) fid.failure = failure
      return
    }
    const others = fids.filter((fid) => fid !== base)
    let next = 0
    const work = async () => {
      for (let fid = others[next++]; fid !== undefined; fid = others[next++]) await this.#place(base.number, fid)
    }
    await Promise.all(Array.from({ length: abreast }, work))
    await this.#place(base.number, base)
  }

  async #place(from: number, fid: Fid): Promise<void> {
    let failure = await this.#walk(from, fid.number, fid.path)
    if (failure !== undefined) {
      for (const move of this.#moves) {
        if (!isSameAttachment(move.attachment, fid.attachment) || !isBelow(fid.path, move.from)) continue
        const path = [...move.to, ...fid.path.slice(move.from.length)]
        if ((await this.#walk(from, fid.number, path)) !== undefined) continue
        fid.path = path
        failure = undefined
        break
      }
    }
    if (failure === undefined) failure = await this.#open(fid)
    else if (fid.number !== from) {
      fid.failure = failure
      return
    }
    if (failure === undefined) return
    fid.failure = failure
    await this.#call({ type: "Tclunk", fid: fid.number })
  }

  /** `newfid` stands for the path afterwards, or is not there, unless it is `from`, which stays where it is. */
  async #walk(from: number, newfid: number, path: readonly string[]): Promise<Failure | undefined> {
    if (from === newfid && path.length === 0) return undefined
    let at = 0
    let fid = from
    do {
      const wname = path.slice(at, at + mostWalkElements)
      const answer = await this.#call({ type: "Twalk", fid, newfid, wname })
      const failure = failureIn(answer) ?? (isWhole(answer, wname) ? undefined : failureOf("ENOENT"))
      if (failure !== undefined) {
        if (fid !== from) await this.#call({ type: "Tclunk", fid: newfid })
        return failure
      }
      at += wname.length
      fid = newfid
    } while (at < path.length)
    return undefined
  }

  async #open(fid: Fid): Promise<Failure | undefined> {
    if (fid.xattr !== undefined) return this.#openXattr(fid)
    const { opening } = fid
    if (opening === undefined) return undefined
    const { dialect } = this.#table
    const answer = await this.#call(
      dialect === "9P2000.L"
        ? { type: "Tlopen", fid: fid.number, flags: opening.mode }
        : { type: "Topen", fid: fid.number, mode: opening.mode },
    )
    const failure = failureIn(answer)
    if (failure !== undefined) return failure
    await this.#look(fid)
    return (await this.#relock(fid)) ?? (await this.#rewrite(fid)) ?? (await this.#skip(fid))
  }

  /** What has all that was read is a file after all, and reading goes on where it was. */
  async #look(fid: Fid): Promise<void> {
    if (fid.resumption === undefined && !fid.hasHad) return
    const answer = await this.#call(
      this.#table.dialect === "9P2000.L"
        ? { type: "Tgetattr", fid: fid.number, requestMask: getattrBits.BASIC }
        : { type: "Tstat", fid: fid.number },
    )
    const length = answer.type === "Rgetattr" ? answer.size : answer.type === "Rstat" ? answer.stat.length : 0
    if (length >= fid.end) fid.resumption = undefined
    else fid.isSpent = isOneShot(fid) && fid.hasHad
  }

  /** Extended attributes are read again; what was to be written to them is lost. */
  async #openXattr(fid: Fid): Promise<Failure | undefined> {
    if (fid.journal === undefined) return failureOf("EIO")
    const spare = this.#table.unused()
    const walked = failureIn(await this.#call({ type: "Twalk", fid: fid.number, newfid: spare, wname: [] }))
    if (walked !== undefined) return walked
    await this.#call({ type: "Tclunk", fid: fid.number })
    const name = fid.xattr as string
    const failure = failureIn(await this.#call({ type: "Txattrwalk", fid: spare, newfid: fid.number, name }))
    await this.#call({ type: "Tclunk", fid: spare })
    return failure
  }

  async #relock(fid: Fid): Promise<Failure | undefined> {
    for (const { tag: _, ...lock } of fid.locks) {
      const answer = await this.#call(lock)
      const isHeld = answer.type === "Rlock" && answer.status === 0
      if (!isHeld) return failureIn(answer) ?? failureOf("EIO")
    }
    return undefined
  }

  /** Writes that the server took and that count later, once more. */
  async #rewrite(fid: Fid): Promise<Failure | undefined> {
    if (fid.journal === undefined) return failureOf("EIO")
    for (const bytes of fid.journal) {
      const answer = await this.#call({
        type: "Twrite",
        fid: fid.number,
        offset: u64At(bytes, 11),
        data: bytes.subarray(writeHeaderBytes),
      })
      const failure = failureIn(answer)
      if (failure !== undefined) return failure
    }
    return undefined
  }

  /** A folder that is listed by bytes has to be read from its beginning; it may have become shorter. */
  async #skip(fid: Fid): Promise<Failure | undefined> {
    if (this.#table.dialect === "9P2000.L" || !isFolder(fid) || typeof fid.end !== "number") return undefined
    let at = 0
    const most = this.#table.msize - IOHDRSZ
    while (at < fid.end) {
      const count = Math.min(fid.end - at, most)
      const answer = await this.#call({ type: "Tread", fid: fid.number, offset: at, count })
      if (answer.type !== "Rread") return failureIn(answer) ?? failureOf("EIO")
      if (answer.data.length === 0) break
      at += answer.data.length
    }
    fid.skew = fid.end - at
    return undefined
  }
}

function isWhole(answer: Answer, wname: readonly string[]): boolean {
  return answer.type === "Rwalk" && answer.wqid.length === wname.length
}
