/**
 * Requests that were sent over a link that was lost and that do not bear a simple repetition: the first try may have
 * worked. They are sent again one by one, and "it exists already" or "it is gone already" is what success looks like then.
 */

import { linuxOpen, openMode } from "../../../ninep/bits.ts"
import type { Answer, Request, WireQid } from "../../../ninep/message.ts"
import { failureIn, isMissing, isThere } from "./answers.ts"
import type { Call } from "./caller.ts"
import type { FidTable } from "./fid-table.ts"
import type { Move } from "./restore.ts"

/** What is repeated here and not just sent again. */
export function isDelicate(request: Request | undefined): request is Request {
  switch (request?.type) {
    case "Tcreate":
    case "Tlcreate":
    case "Tremove":
    case "Tunlinkat":
    case "Tmkdir":
    case "Tsymlink":
    case "Tmknod":
    case "Tlink":
    case "Trename":
    case "Trenameat":
      return true
    case "Twstat":
      return request.stat.name !== ""
    default:
      return false
  }
}

/** Where a rename would lead, whose answer is missing. */
export function moveOf(request: Request, table: FidTable): Move | undefined {
  switch (request.type) {
    case "Trename": {
      const [fid, folder] = [table.get(request.fid), table.get(request.dfid)]
      if (fid === undefined || folder === undefined) return undefined
      return { attachment: fid.attachment, from: fid.path, to: [...folder.path, request.name] }
    }
    case "Trenameat": {
      const [from, to] = [table.get(request.olddirfid), table.get(request.newdirfid)]
      if (from === undefined || to === undefined) return undefined
      return {
        attachment: from.attachment,
        from: [...from.path, request.oldname],
        to: [...to.path, request.newname],
      }
    }
    case "Twstat": {
      const fid = table.get(request.fid)
      const { name } = request.stat
      if (fid === undefined || name === "" || fid.path.length === 0) return undefined
      return { attachment: fid.attachment, from: fid.path, to: [...fid.path.slice(0, -1), name] }
    }
    default:
      return undefined
  }
}

/** The answer for the client, with the tag of the request. Rejects when the link is lost. */
export async function repeat(call: Call, request: Request, table: FidTable): Promise<Answer> {
  const answer = await again(call, request, table)
  return { ...answer, tag: request.tag }
}

async function again(call: Call, request: Request, table: FidTable): Promise<Answer> {
  const { tag } = request
  // It is not there any more, which is what it was to become.
  if (request.type === "Tremove" && isGone(request.fid, table)) return { type: "Rremove", tag }
  const answer = await call(request)
  const failure = failureIn(answer)
  if (failure === undefined) return answer
  switch (request.type) {
    case "Tcreate":
    case "Tlcreate":
      return isThere(failure) ? openCreated(call, request, answer) : answer
    case "Tmkdir":
    case "Tsymlink":
    case "Tmknod": {
      const qid = isThere(failure)
        ? await qidOf(call, request.type === "Tsymlink" ? request.fid : request.dfid, request.name, table)
        : undefined
      if (qid === undefined) return answer
      const type = request.type === "Tmkdir" ? "Rmkdir" : request.type === "Tsymlink" ? "Rsymlink" : "Rmknod"
      return { type, tag, qid }
    }
    case "Tlink":
      return isThere(failure) ? { type: "Rlink", tag } : answer
    case "Tremove":
      return isMissing(failure) ? { type: "Rremove", tag } : answer
    case "Tunlinkat":
      return isMissing(failure) ? { type: "Runlinkat", tag } : answer
    case "Trename":
      return isMissing(failure) || isThere(failure) ? { type: "Rrename", tag } : answer
    case "Trenameat":
      return isMissing(failure) || isThere(failure) ? { type: "Rrenameat", tag } : answer
    case "Twstat":
      return isMissing(failure) || isThere(failure) ? { type: "Rwstat", tag } : answer
    default:
      return answer
  }
}

function isGone(number: number, table: FidTable): boolean {
  const failure = table.get(number)?.failure
  return failure !== undefined && isMissing(failure)
}

/** The fid is the folder's still; a create would have moved and opened it. */
async function openCreated(
  call: Call,
  request: Extract<Request, { type: "Tcreate" | "Tlcreate" }>,
  refusal: Answer,
): Promise<Answer> {
  const { fid, name, tag } = request
  const walked = await call({ type: "Twalk", fid, newfid: fid, wname: [name] })
  if (walked.type !== "Rwalk" || walked.wqid.length !== 1) return refusal
  const opened = await call(
    request.type === "Tlcreate"
      ? { type: "Tlopen", fid, flags: request.flags & ~(linuxOpen.CREAT | linuxOpen.EXCL | linuxOpen.TRUNC) }
      : { type: "Topen", fid, mode: request.mode & ~openMode.OTRUNC },
  )
  if (opened.type === "Rlopen") return { type: "Rlcreate", tag, qid: opened.qid, iounit: opened.iounit }
  if (opened.type === "Ropen") return { type: "Rcreate", tag, qid: opened.qid, iounit: opened.iounit }
  // The client's fid is the folder's when a create fails.
  await call({ type: "Twalk", fid, newfid: fid, wname: [".."] })
  return opened
}

async function qidOf(call: Call, folder: number, name: string, table: FidTable): Promise<WireQid | undefined> {
  const newfid = table.unused()
  const walked = await call({ type: "Twalk", fid: folder, newfid, wname: [name] })
  if (walked.type !== "Rwalk" || walked.wqid.length !== 1) return undefined
  await call({ type: "Tclunk", fid: newfid })
  return walked.wqid[0]
}
