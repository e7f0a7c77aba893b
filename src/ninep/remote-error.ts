/** The errors of the other side, as those that are known here. */

import { errnos, NinepError, type ErrnoName } from "./errno.ts"
import type { Rerror, Rlerror } from "./message.ts"

/** A server has answered an error. Numbers and texts that are not known read as `EIO`; `answer` has what it said. */
export class RemoteError extends NinepError {
  readonly answer: Rerror | Rlerror

  constructor(answer: Rerror | Rlerror) {
    super(errnoOf(answer), answer.type === "Rerror" ? answer.ename : undefined)
    this.name = "RemoteError"
    this.answer = answer
    if (answer.type === "Rlerror" && nameOfNumber.get(answer.ecode) === undefined)
      this.message = `The server answered Linux's error ${answer.ecode}`
  }
}

/** The conversation has ended before the answer came, so that nobody knows whether the request took effect. */
export class LinkLostError extends NinepError {
  constructor(reason: string, cause?: unknown) {
    super("EIO", reason)
    this.name = "LinkLostError"
    this.cause = cause
  }
}

const nameOfNumber: ReadonlyMap<number, ErrnoName> = new Map(
  (Object.keys(errnos) as ErrnoName[]).map((name) => [errnos[name].number, name]),
)

/** What servers of Plan 9 and of its descendants say, beside the texts of `errnos`; in lower case. */
const classic: { readonly [text: string]: ErrnoName } = {
  "file not found": "ENOENT",
  "file does not exist": "ENOENT",
  "directory entry not found": "ENOENT",
  "file already exists": "EEXIST",
  "file or directory already exists": "EEXIST",
  "fid unknown or out of range": "EBADF",
  "unknown fid": "EBADF",
  "bad file number": "EBADF",
  "file not open": "EBADF",
  "file is in use": "EBUSY",
  "exclusive use file already open": "EBUSY",
  "walk in non-directory": "ENOTDIR",
  "file is a directory": "EISDIR",
  "directory is not empty": "ENOTEMPTY",
  "wstat prohibited": "EPERM",
  "create prohibited": "EPERM",
  "remove prohibited": "EPERM",
  "illegal name": "EINVAL",
  "illegal mode": "EINVAL",
  "illegal offset": "EINVAL",
  "bad offset in directory read": "EINVAL",
  "i/o error": "EIO",
  interrupted: "EINTR",
  "file system full": "ENOSPC",
  "no such process": "ENOENT",
  "not supported": "EOPNOTSUPP",
  "function not implemented": "EOPNOTSUPP",
}

const nameOfText: ReadonlyMap<string, ErrnoName> = new Map([
  ...Object.entries(classic),
  ...(Object.keys(errnos) as ErrnoName[]).map((name) => [errnos[name].text.toLowerCase(), name] as const),
])

function errnoOf(answer: Rerror | Rlerror): ErrnoName {
  const number = answer.type === "Rerror" ? answer.errno : answer.ecode
  const known = number === undefined ? undefined : nameOfNumber.get(number)
  if (known !== undefined || answer.type === "Rlerror") return known ?? "EIO"
  return nameOfText.get(answer.ename.toLowerCase()) ?? "EIO"
}
