/**
 * The files of a part: made when their first bytes come, as long as they will be, so that zeros need no writing. Nothing in
 * a part is a link before its last step, and no link is followed: a part cannot lead out of its folder.
 */

import * as fs from "node:fs"
import { RdvError } from "../../../base/error.ts"
import type { Entry, FileEntry } from "../content/manifest.ts"
import { isFileAlone } from "../content/manifest-rules.ts"
import { pathText } from "../content/path-text.ts"
import { Breath } from "./breath.ts"
import { diskError, errnoOf, isMissing } from "./disk-error.ts"
import { diskPath, shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"
import { FileSet } from "./file-set.ts"
import { isOurs } from "./is-ours.ts"
import { removeTree } from "./remove-tree.ts"

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants

/** The contents of a part, which are made when they are missing, or of a target. */
export class PartFiles {
  readonly set: FileSet
  #root: DiskPath
  #isPlaced: boolean

  /** With `isPlaced`, they are only read. */
  constructor(root: DiskPath, files: readonly FileEntry[], isPlaced: boolean) {
    this.#root = root
    this.#isPlaced = isPlaced
    const entryOf = (file: number) => files[file] as FileEntry
    this.set = new FileSet({
      sizes: files.map((file) => file.size),
      pathOf: (file) => diskPath(this.#root, entryOf(file).path),
      open: (file) => (this.#isPlaced ? openPlaced : openPart)(this.#root, entryOf(file)),
    })
  }

  /** They are somewhere else now, and nobody writes to them any more. */
  moved(root: DiskPath): void {
    this.set.close()
    this.#root = root
    this.#isPlaced = true
  }
}

export interface FoundPart {
  /** By file: it is there, with the length that it will have. */
  readonly isThere: readonly boolean[]
  /** The latest of all files, ms. */
  readonly mtimeMs: number
}

/**
 * Looks through what an earlier run left, and removes what is not of this version. Undefined: nothing is there. A part of
 * somebody else is removed, since he may change it: throws `forbidden` when that cannot be done.
 */
export async function inspectPart(root: DiskPath, entries: readonly Entry[]): Promise<FoundPart | undefined> {
  try {
    const stat = fs.lstatSync(root)
    const isFile = isFileAlone(entries)
    if (!isOurs(stat) || (isFile ? !stat.isFile() : !stat.isDirectory())) {
      removeTree(root)
      return undefined
    }
    const inspection = new Inspection(entries)
    if (isFile) inspection.file(root, "", stat)
    else await inspection.folder(root, "", stat)
    return inspection.found()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw diskError(error, root)
  }
}

/** Makes a folder and those above it, up to `root`, which nobody else may look into before it is whole. */
export function makeFolder(root: DiskPath, path: string): void {
  try {
    fs.mkdirSync(diskPath(root, path), path === "" ? 0o700 : 0o777)
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return
    if (!isMissing(error) || path === "") throw diskError(error, diskPath(root, path))
    makeFolder(root, parentOf(path))
    makeFolder(root, path)
  }
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")))
}

class Inspection {
  readonly #entries: Map<string, Entry>
  readonly #files: FileEntry[]
  readonly #there = new Set<string>()
  readonly #breath = new Breath()
  #mtimeMs = 0

  constructor(entries: readonly Entry[]) {
    this.#entries = new Map(entries.map((entry) => [entry.path, entry]))
    this.#files = entries.filter((entry) => entry.type === "file")
  }

  found(): FoundPart {
    return { isThere: this.#files.map((file) => this.#there.has(file.path)), mtimeMs: this.#mtimeMs }
  }

  file(path: DiskPath, below: string, stat: fs.Stats): void {
    const entry = this.#entries.get(below)
    if (entry?.type !== "file" || stat.size !== entry.size || !isOurs(stat)) return fs.rmSync(path, { force: true })
    // Its last mode, given by a run that ended before its last step.
    if ((stat.mode & 0o600) !== 0o600) fs.chmodSync(path, stat.mode | 0o600)
    this.#there.add(below)
    this.#mtimeMs = Math.max(this.#mtimeMs, stat.mtimeMs)
    return undefined
  }

  async folder(path: DiskPath, below: string, stat: fs.Stats): Promise<void> {
    if ((stat.mode & 0o700) !== 0o700) fs.chmodSync(path, stat.mode | 0o700)
    for (const dirent of fs.readdirSync(path, { withFileTypes: true, encoding: "buffer" })) {
      if (this.#breath.isDue) await this.#breath.take()
      const name = pathText(dirent.name)
      const inner = diskPath(path, name)
      const place = below === "" ? name : `${below}/${name}`
      const innerStat = fs.lstatSync(inner)
      if (innerStat.isFile()) this.file(inner, place, innerStat)
      else if (innerStat.isDirectory() && this.#entries.get(place)?.type === "folder" && isOurs(innerStat)) {
        await this.folder(inner, place, innerStat)
      } else removeTree(inner)
    }
  }
}

function openPlaced(root: DiskPath, { path }: FileEntry): number {
  return fs.openSync(diskPath(root, path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
}

function openPart(root: DiskPath, { path, size, mode }: FileEntry): number {
  const whole = diskPath(root, path)
  try {
    const fd = fs.openSync(whole, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
    const stat = fs.fstatSync(fd)
    if (stat.isFile() && stat.size === size) return fd
    fs.closeSync(fd)
    throw new RdvError("corrupt", `Something else wrote to ${shownPath(whole)}`, { mend: "remove it and start again" })
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  // Without a mode to come it is what the umask leaves; else nobody looks at it before it is whole.
  const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
  const make = () => fs.openSync(whole, flags, mode === undefined ? 0o666 : 0o600)
  let fd: number
  try {
    fd = make()
  } catch (error) {
    if (!isMissing(error) || path === "") throw error
    makeFolder(root, parentOf(path))
    fd = make()
  }
  try {
    if (size > 0) fs.ftruncateSync(fd, size)
    return fd
  } catch (error) {
    fs.closeSync(fd)
    fs.rmSync(whole, { force: true })
    throw error
  }
}
