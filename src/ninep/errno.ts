/**
 * The errors that a 9P server answers. 9P2000.L carries Linux's error numbers, 9P2000 a text, 9P2000.u both; the texts are
 * those that the Linux client maps back to the same numbers (net/9p/error.c there), because any other text becomes 526.
 */

/** Linux's number and the text for 9P2000 of each error in use. */
export const errnos = {
  EPERM: { number: 1, text: "Operation not permitted" },
  ENOENT: { number: 2, text: "No such file or directory" },
  EINTR: { number: 4, text: "Interrupted system call" },
  EIO: { number: 5, text: "Input/output error" },
  EBADF: { number: 9, text: "Bad file descriptor" },
  EAGAIN: { number: 11, text: "Resource temporarily unavailable" },
  ENOMEM: { number: 12, text: "Cannot allocate memory" },
  EACCES: { number: 13, text: "Permission denied" },
  EBUSY: { number: 16, text: "Device or resource busy" },
  EEXIST: { number: 17, text: "File exists" },
  ENOTDIR: { number: 20, text: "Not a directory" },
  EISDIR: { number: 21, text: "Is a directory" },
  EINVAL: { number: 22, text: "Invalid argument" },
  ENFILE: { number: 23, text: "Too many open files in system" },
  EMFILE: { number: 24, text: "Too many open files" },
  ENOSPC: { number: 28, text: "No space left on device" },
  EPIPE: { number: 32, text: "Broken pipe" },
  ENAMETOOLONG: { number: 36, text: "File name too long" },
  ENOTEMPTY: { number: 39, text: "Directory not empty" },
  EIDRM: { number: 43, text: "Identifier removed" },
  EPROTO: { number: 71, text: "Protocol error" },
  EMSGSIZE: { number: 90, text: "Message too long" },
  EOPNOTSUPP: { number: 95, text: "Operation not supported" },
  ENOBUFS: { number: 105, text: "No buffer space available" },
  ETIMEDOUT: { number: 110, text: "Connection timed out" },
  ECONNREFUSED: { number: 111, text: "Connection refused" },
} as const

export type ErrnoName = keyof typeof errnos

/** What a tree throws or answers; everything else that is thrown becomes `EIO`. */
export class NinepError extends Error {
  readonly errno: ErrnoName

  /** `reason` is for logs and for 9P clients that show texts of their own; the wire text is the errno's. */
  constructor(errno: ErrnoName, reason?: string) {
    super(reason ?? errnos[errno].text)
    this.name = "NinepError"
    this.errno = errno
  }
}
