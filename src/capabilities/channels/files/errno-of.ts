/** What the core throws, as errors of a file system. */

import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { ErrnoName } from "../../../ninep/errno.ts"

const errnoByCode: Partial<Record<ErrorCode, ErrnoName>> = {
  not_found: "ENOENT",
  exists: "EEXIST",
  removed: "EIDRM",
  closed: "EPIPE",
  timeout: "ETIMEDOUT",
  would_block: "EAGAIN",
  limit: "ENOBUFS",
  too_large: "EMSGSIZE",
  usage: "EINVAL",
  forbidden: "EACCES",
  unauthorized: "EACCES",
  in_use: "EBUSY",
}

/** Anything that was thrown; what has no number of its own becomes `EIO`. */
export function errnoOf(thrown: unknown): NinepError {
  if (thrown instanceof NinepError) return thrown
  if (!(thrown instanceof RdvError)) return new NinepError("EIO", String(thrown))
  const text = thrown.mend === undefined ? thrown.message : `${thrown.message}; ${thrown.mend}`
  return new NinepError(errnoByCode[thrown.code] ?? "EIO", text)
}

/** Runs an act of the core; what it throws is thrown as a file system's error. A mistake of ours stays what it is: it is logged. */
export function withErrno<Result>(act: () => Result): Result {
  try {
    return act()
  } catch (error) {
    throw error instanceof RdvError ? errnoOf(error) : error
  }
}
