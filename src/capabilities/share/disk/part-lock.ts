/** One process writes one target: a file beside it names that process. One that has ended holds nothing. */

import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import { RdvError } from "../../../base/error.ts"
import { diskError, errnoOf, isMissing } from "./disk-error.ts"
import { diskPath, shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"

export class PartLock {
  readonly #path: DiskPath
  #isHeld = true

  private constructor(path: DiskPath) {
    this.#path = path
  }

  /** Throws `in_use` when a process that runs has it, and what the folder that it lies in does not allow. */
  static take(path: DiskPath, folder: string): PartLock {
    for (let attempt = 0; ; attempt++) {
      if (make(path, folder)) return new PartLock(path)
      const { text, pid } = holderOf(path)
      if (pid !== undefined || attempt > 2) {
        throw new RdvError("in_use", `Process ${pid ?? "?"} receives the same thing into the same place`, {
          mend: `wait for it, or choose another name; if no such process runs, remove ${shownPath(path)}`,
        })
      }
      if (text !== undefined) removeDead(path, folder, text)
    }
  }

  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    fs.rmSync(this.#path, { force: true })
  }
}

/** True when it is ours now. It appears with all that is in it, so that nobody takes one that is being written for a dead one. */
function make(path: DiskPath, folder: string): boolean {
  const draft = diskPath(folder, `.rdv-${randomUUID()}`)
  const own = `${process.pid} ${startOf(process.pid)}\n`
  try {
    fs.writeFileSync(draft, own, { flag: "wx", mode: 0o644 })
    fs.linkSync(draft, path)
    return true
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === "EEXIST") return false
    if (!noSecondName.has(errno)) throw diskError(error, folder)
  } finally {
    // A full disk has room for a name and none for what is in it.
    fs.rmSync(draft, { force: true })
  }
  try {
    fs.writeFileSync(path, own, { flag: "wx", mode: 0o644 })
    return true
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false
    if (errnoOf(error) === "ENOSPC") fs.rmSync(path, { force: true })
    throw diskError(error, folder)
  }
}

/** File systems without second names. */
const noSecondName: ReadonlySet<string | undefined> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"])

/** Removes the lock with this text. Another process may have done so meanwhile, and have put its own there. */
function removeDead(path: DiskPath, folder: string, text: string): void {
  const grave = diskPath(folder, `.rdv-${randomUUID()}`)
  try {
    fs.renameSync(path, grave)
  } catch (error) {
    if (isMissing(error)) return
    throw diskError(error, path)
  }
  try {
    if (fs.readFileSync(grave, "utf8") !== text) fs.linkSync(grave, path)
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw diskError(error, path)
  } finally {
    fs.rmSync(grave, { force: true })
  }
}

/** What is in it, and the process that has it, if it runs. */
function holderOf(path: DiskPath): { readonly text?: string; readonly pid?: number } {
  let text: string
  try {
    text = fs.readFileSync(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return {}
    throw diskError(error, path)
  }
  const [, digits = "", start] = /^([1-9][0-9]*) ([^\n]*)\n$/.exec(text) ?? []
  const pid = Number(digits)
  if (digits === "" || !isRunning(pid)) return { text }
  // Numbers of processes come again.
  return startOf(pid) === start ? { text, pid } : { text }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) === "EPERM"
  }
}

/** When a process began, in ticks, where the system tells it (proc(5)). One that has ended and whose parent has not looked has none. */
function startOf(pid: number): string {
  if (process.platform !== "linux") return "-"
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    const [state = "", ...fields] = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return /^[ZX]$/.test(state) ? "ended" : (fields[18] ?? "-")
  } catch {
    return "-"
  }
}
