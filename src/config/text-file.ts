/** Files that a user names: read within a bound, and with errors that say what to do. */

import { closeSync, openSync, readSync } from "node:fs"
import { RdvError } from "../base/error.ts"

/** At most `mostBytes`. Throws `usage`. */
export function readFileBytes(path: string, mostBytes: number): Uint8Array {
  const parts: Uint8Array[] = []
  let total = 0
  let file: number | undefined
  try {
    file = openSync(path, "r")
    // Not by its size: what is no plain file has none.
    for (;;) {
      const part = Buffer.allocUnsafe(Math.min(65_536, mostBytes + 1 - total))
      const count = readSync(file, part)
      if (count === 0) break
      parts.push(part.subarray(0, count))
      total += count
      if (total > mostBytes) {
        throw new RdvError("usage", `${path} is larger than ${mostBytes} bytes`, { mend: "make it smaller" })
      }
    }
  } catch (error) {
    throw error instanceof RdvError ? error : unreadable(path, error)
  } finally {
    if (file !== undefined) closeSync(file)
  }
  return Buffer.concat(parts, total)
}

/** UTF-8; a byte order mark is left out. Throws `usage`. */
export function readTextFile(path: string, mostBytes: number): string {
  const bytes = readFileBytes(path, mostBytes)
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw new RdvError("usage", `${path} is not text in UTF-8`, { mend: "save it as UTF-8" })
  }
}

function unreadable(path: string, cause: unknown): RdvError {
  const { code, message } = cause as NodeJS.ErrnoException
  const [what, mend] = reasons[code ?? ""] ?? [`cannot be read: ${message}`, "check it"]
  return new RdvError("usage", `${path} ${what}`, { mend, cause })
}

const reasons: Readonly<Record<string, readonly [what: string, mend: string]>> = {
  ENOENT: ["does not exist", "check the path"],
  EISDIR: ["is a folder", "name a file"],
  EACCES: ["may not be read", "give this user the right to read it"],
  ENOTDIR: ["does not exist", "check the path"],
  ENAMETOOLONG: ["does not exist", "check the path"],
}
