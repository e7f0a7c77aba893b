/** The last step of a receiver: what is whole gets its modes and times, and its name, in one step. */

import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import { RdvError } from "../../../base/error.ts"
import type { Entry, Manifest } from "../content/manifest.ts"
import { isFileAlone } from "../content/manifest-rules.ts"
import { Breath } from "./breath.ts"
import { diskError, errnoOf } from "./disk-error.ts"
import { diskName, diskPath, shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"
import type { FileSet } from "./file-set.ts"
import { makeFolder } from "./part-files.ts"
import { exists } from "./place.ts"
import type { Place } from "./place.ts"
import { removeTree } from "./remove-tree.ts"

/** Gives all entries below `root` their form. Returns what could not be kept. */
export async function finishEntries(root: DiskPath, manifest: Manifest, files: FileSet): Promise<string[]> {
  const remarks = new Remarks()
  const breath = new Breath()
  const isFile = isFileAlone(manifest.entries)
  if (!isFile) makeFolder(root, "")
  let file = -1
  for (const entry of manifest.entries) {
    if (breath.isDue) await breath.take()
    if (entry.type === "folder") makeFolder(root, entry.path)
    if (entry.type === "file") finishFile(entry, ++file, files, remarks)
  }
  // Links last: nothing is written behind one. Folders behind what is in them, since a folder may allow no more writing.
  for (const entry of manifest.entries) if (entry.type === "symlink") makeLink(root, entry, remarks)
  for (const entry of manifest.entries.toReversed()) {
    if (breath.isDue) await breath.take()
    if (entry.type !== "folder") continue
    const path = diskPath(root, entry.path)
    const { mode, mtimeMs } = entry
    if (mode !== undefined) remarks.attempt("the mode", entry.path, () => fs.chmodSync(path, mode))
    if (mtimeMs !== undefined) {
      remarks.attempt("the time", entry.path, () => fs.utimesSync(path, Date.now() / 1000, timeOf(mtimeMs)))
    }
  }
  // A part is private until now; a folder of which nobody said more is as open as new folders are here.
  const [first] = manifest.entries
  const hasMode = first?.type === "folder" && first.path === "" && first.mode !== undefined
  if (!isFile && !hasMode) {
    remarks.attempt("the mode", "", () => fs.chmodSync(root, usualMode(root)))
  }
  return remarks.end()
}

/** Everything of a part is on the disk when this is done. */
export async function syncFiles(files: FileSet, count: number): Promise<void> {
  for (let file = 0; file < count; file++) await files.sync(file)
}

/**
 * The part gets the name. `mayReplace` false: throws `exists` when something has it. The old one is whole until the new one is in its
 * place; a tree is away for an instant between two renames, which the next run completes when this one dies there.
 * Returns what is left to be removed.
 */
export function putInPlace(place: Place, mayReplace: boolean, isTree: boolean): string[] {
  try {
    if (!mayReplace) putNew(place, isTree)
    else if (isTree || isFolder(place.target)) {
      if (exists(place.target)) fs.renameSync(place.target, place.old)
      try {
        fs.renameSync(place.part, place.target)
      } catch (error) {
        if (exists(place.old)) fs.renameSync(place.old, place.target)
        throw error
      }
    } else fs.renameSync(place.part, place.target)
  } catch (error) {
    throw diskError(error, place.target)
  }
  try {
    removeTree(place.old)
    return []
  } catch (error) {
    return [`what had the name before could not be removed: ${(error as Error).message}`]
  }
}

/** The name itself reaches the disk. */
export function syncFolder(folder: string): void {
  if (process.platform === "win32") return
  const fd = fs.openSync(folder, "r")
  try {
    fs.fsyncSync(fd)
  } catch (error) {
    // Some file systems cannot; then there is nothing to be done.
    if (!["EINVAL", "ENOTSUP", "EBADF"].includes(errnoOf(error) ?? "")) throw diskError(error, folder)
  } finally {
    fs.closeSync(fd)
  }
}

/** Of a new folder in `folder`; to ask for the umask is to change it for a moment. */
function usualMode(folder: DiskPath): number {
  const probe = diskPath(folder, `.rdv-${randomUUID()}`)
  fs.mkdirSync(probe)
  try {
    return fs.lstatSync(probe).mode & 0o7777
  } finally {
    fs.rmdirSync(probe)
  }
}

function putNew({ part, target }: Place, isTree: boolean): void {
  if (!isTree) {
    try {
      // Unlike a rename, this never takes a name from somebody who came first.
      fs.linkSync(part, target)
      fs.unlinkSync(part)
      return
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw taken(target)
      // No second names on this file system.
    }
  }
  if (exists(target)) throw taken(target)
  fs.renameSync(part, target)
}

function taken(target: DiskPath): RdvError {
  return new RdvError("exists", `Something else has the name meanwhile: ${shownPath(target)}`, {
    mend: "move it away or choose another name, and start again: what is there is kept",
  })
}

function finishFile(entry: Entry & { type: "file" }, file: number, files: FileSet, remarks: Remarks): void {
  const { mode, mtimeMs } = entry
  const fd = files.descriptor(file)
  if (mode !== undefined) remarks.attempt("the mode", entry.path, () => fs.fchmodSync(fd, mode))
  if (mtimeMs !== undefined) {
    remarks.attempt("the time", entry.path, () => fs.futimesSync(fd, Date.now() / 1000, timeOf(mtimeMs)))
  }
}

function makeLink(root: DiskPath, { path, target }: Entry & { type: "symlink" }, remarks: Remarks): void {
  remarks.attempt("the link", path, () => fs.symlinkSync(diskName(target), diskPath(root, path)))
}

/** Half a microsecond more, so that a fraction which binary cannot express does not fall into the millisecond before. */
function timeOf(mtimeMs: number): number | Date {
  // Node takes a number below 0 for the present.
  return mtimeMs < 0 ? new Date(mtimeMs) : (mtimeMs + 0.0005) / 1000
}

function isFolder(path: DiskPath): boolean {
  try {
    return fs.lstatSync(path).isDirectory()
  } catch {
    return false
  }
}

/** A few of them by name, the others counted. */
class Remarks {
  readonly #texts: string[] = []
  #more = 0

  /** What the system refuses here does no harm; a disk that is full or broken does. */
  attempt(what: string, path: string, act: () => void): void {
    try {
      act()
    } catch (error) {
      const errno = errnoOf(error) ?? ""
      if (!["EPERM", "ENOTSUP", "ENOSYS", "EINVAL", "EACCES", "UNKNOWN"].includes(errno)) throw diskError(error, path)
      if (this.#texts.length < 20)
        this.#texts.push(`${what} of ${shownPath(path) || "what is shared"} could not be kept (${errno})`)
      else this.#more++
    }
  }

  end(): string[] {
    return this.#more === 0 ? this.#texts : [...this.#texts, `and ${this.#more} more`]
  }
}
