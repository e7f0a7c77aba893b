/** What the operating system says about files, as one clear line. */

import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import { shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"

interface Saying {
  readonly code: ErrorCode
  /** What is wrong; the path follows. */
  readonly text: string
  readonly mend?: string
}

/** The same error when it is one of ours already. */
export function diskError(error: unknown, path: DiskPath): RdvError {
  if (error instanceof RdvError) return error
  const number = errnoOf(error)
  const saying = sayings[number ?? ""]
  const name = shownPath(path)
  if (saying === undefined) {
    const what = number ?? (error instanceof Error ? error.message : String(error))
    return new RdvError("internal", `The file system failed at ${name}: ${what}`, { cause: error })
  }
  const options = saying.mend === undefined ? { cause: error } : { cause: error, mend: saying.mend }
  return new RdvError(saying.code, `${saying.text}: ${name}`, options)
}

/** `ENOENT`, … */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined
  return typeof error.code === "string" ? error.code : undefined
}

/** What is missing, or stands where a folder on the way to it should be, is not there. */
export function isMissing(error: unknown): boolean {
  const number = errnoOf(error)
  return number === "ENOENT" || number === "ENOTDIR"
}

const full = "free some space and start it again: what is there is kept"
const away = "what is there is kept; start it again when the disk answers"

const sayings: { readonly [errno: string]: Saying | undefined } = {
  ENOSPC: { code: "limit", text: "The disk is full", mend: full },
  EDQUOT: { code: "limit", text: "The quota of the disk is used up", mend: full },
  EFBIG: { code: "limit", text: "The file system takes no file of this size" },
  EMFILE: { code: "limit", text: "Too many files are open", mend: "raise the limit (ulimit -n)" },
  ENFILE: { code: "limit", text: "Too many files are open on this machine" },
  EACCES: { code: "forbidden", text: "No permission" },
  EPERM: { code: "forbidden", text: "The system does not allow it" },
  EROFS: { code: "forbidden", text: "The file system is read-only" },
  ELOOP: { code: "forbidden", text: "A symbolic link stands where a file should be" },
  ENOENT: { code: "not_found", text: "It is not there" },
  ENOTDIR: { code: "not_found", text: "A part of the path is no folder" },
  EISDIR: { code: "exists", text: "A folder has the name" },
  EEXIST: { code: "exists", text: "Something has the name already", mend: "remove it, or choose another name" },
  ENOTEMPTY: { code: "exists", text: "A folder with something in it has the name" },
  ENAMETOOLONG: { code: "usage", text: "The name is too long for this file system" },
  EILSEQ: { code: "usage", text: "This file system cannot hold the name" },
  EINVAL: { code: "usage", text: "This file system cannot hold it" },
  EIO: { code: "unreachable", text: "The disk failed", mend: away },
  ESTALE: { code: "unreachable", text: "The network disk lost the file", mend: away },
  EBUSY: { code: "in_use", text: "Something else uses it, or it is a mount point", mend: "choose another name" },
  ETXTBSY: { code: "in_use", text: "It is running as a program" },
}
