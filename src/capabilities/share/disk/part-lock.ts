/** One process writes one target: a file beside it names that process. One that has ended holds nothing. */

import * as fs from "node:fs"
import { RdvError } from "../../../base/error.ts"
import { diskError, errnoOf, isMissing } from "./disk-error.ts"
import { shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"

export class PartLock {
  readonly #path: DiskPath
  #isHeld = true

  private constructor(path: DiskPath) {
    this.#path = path
  }

  /** Throws `in_use` when a process that runs has it, and what the folder that it lies in does not allow. */
  static take(path: DiskPath, folder: string): PartLock {
    const own = `${process.pid} ${startOf(process.pid)}\n`
    for (let attempt = 0; ; attempt++) {
      try {
        fs.writeFileSync(path, own, { flag: "wx", mode: 0o644 })
        return new PartLock(path)
      } catch (error) {
        if (errnoOf(error) !== "EEXIST") {
          // A full disk has room for a name and none for what is in it.
          if (errnoOf(error) === "ENOSPC") fs.rmSync(path, { force: true })
          throw diskError(error, folder)
        }
      }
      const pid = holderOf(path)
      if (pid !== undefined || attempt > 2) {
        throw new RdvError("in_use", `Process ${pid ?? "?"} receives the same thing into the same place`, {
          mend: `wait for it, or choose another name; if no such process runs, remove ${shownPath(path)}`,
        })
      }
      fs.rmSync(path, { force: true })
    }
  }

  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    fs.rmSync(this.#path, { force: true })
  }
}

/** The process that has it, if it runs. */
function holderOf(path: DiskPath): number | undefined {
  let text: string
  try {
    text = fs.readFileSync(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw diskError(error, path)
  }
  const [, digits = "", start] = /^([1-9][0-9]*) ([^\n]*)\n$/.exec(text) ?? []
  const pid = Number(digits)
  if (digits === "" || !isRunning(pid)) return undefined
  // Numbers of processes come again.
  return startOf(pid) === start ? pid : undefined
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
