/**
 * What there is to share: files and folders as they are now, as entries of a manifest in its order. What cannot be shared
 * (sockets, devices, links that lead out of the tree) is left out and said.
 */

import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { counted } from "../../../base/counted.ts"
import { RdvError } from "../../../base/error.ts"
import type { Entry, FileEntry } from "../content/manifest.ts"
import { Breath } from "./breath.ts"
import { diskError, errnoOf, isMissing } from "./disk-error.ts"
import { normalTarget, sortEntries } from "../content/path-rules.ts"
import { pathText } from "../content/path-text.ts"
import { diskPath, shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"
import { FileSet } from "./file-set.ts"

export interface Scan {
  readonly name: string
  /** In the order of the manifest. */
  readonly entries: readonly Entry[]
  /** One for each entry that is a file, in their order. */
  readonly files: readonly ScannedFile[]
  /** What was left out and why. */
  readonly remarks: readonly string[]
}

export interface ScannedFile {
  readonly entry: FileEntry
  readonly path: DiskPath
  readonly size: number
  /** As the system gives it, with fractions. */
  readonly mtimeMs: number
  readonly inode: number
  readonly device: number
  /** The system says that it has fewer blocks than bytes. A hint. */
  readonly isSparse: boolean
}

export interface ScanOptions {
  /** Files and folders; several of them become entries of one folder. */
  readonly paths: readonly string[]
  /** Default: the name of the file or folder; of several, that of the folder they are in. */
  readonly name?: string
  readonly signal?: AbortSignal
  /** What may not be read is left out and said; without it, it is `forbidden`. */
  readonly skipUnreadable?: boolean
}

/** Rejects `not_found`, `forbidden`, `usage` (two of the same name, something that is no file). */
export async function scanTree(options: ScanOptions): Promise<Scan> {
  const scanner = new Scanner(options.signal, options.skipUnreadable === true ? "skip" : "refuse")
  const [first, ...more] = options.paths.map((path) => resolve(path))
  if (first === undefined) throw new RdvError("usage", "There is nothing to share")
  if (more.length === 0) await scanner.top(first, "")
  else {
    const names = new Set<string>()
    for (const path of [first, ...more]) {
      const name = basename(path)
      if (name === "") throw new RdvError("usage", `It has no name within a folder: ${path}`)
      if (names.has(name)) throw new RdvError("usage", `Two of the paths are called ${name}: share them one by one`)
      names.add(name)
      await scanner.top(path, name)
    }
  }
  return scanner.end(options.name ?? nameOf([first, ...more]))
}

/** What is at a path, which is no link itself. */
export async function scanAt(root: DiskPath, signal?: AbortSignal): Promise<Scan> {
  const scanner = new Scanner(signal, "take")
  await scanner.at(root, "")
  return scanner.end("")
}

/** The same as long as nobody changes a file, or what is in a folder. */
export function lookOf({ entries, files }: Scan): string {
  const hash = createHash("sha256")
  for (const entry of entries)
    hash.update(JSON.stringify([entry.path, entry.type === "symlink" ? entry.target : entry.type]))
  for (const { size, mtimeMs, inode } of files) hash.update(`${size} ${mtimeMs} ${inode}\n`)
  return hash.digest("base64url")
}

/** The contents of what was scanned, for reading. */
export function scannedFiles(scanned: readonly ScannedFile[]): FileSet {
  return new FileSet({
    sizes: scanned.map((file) => file.size),
    pathOf: (file) => (scanned[file] as ScannedFile).path,
    open: (file) => openScanned(scanned[file] as ScannedFile),
  })
}

/** What has become something else meanwhile is not followed and not waited for. */
export function openScanned(file: ScannedFile): number {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants
  return fs.openSync(file.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
}

function nameOf(paths: readonly string[]): string {
  const [first] = paths as [string]
  if (paths.length === 1) return basename(first) || "files"
  const folder = dirname(first)
  return (paths.every((path) => dirname(path) === folder) && basename(folder)) || "files"
}

class Scanner {
  readonly #signal: AbortSignal | undefined
  readonly #breath = new Breath()
  readonly #entries: Entry[] = []
  readonly #files = new Map<Entry, ScannedFile>()
  readonly #remarks: string[] = []
  readonly #unreadable: "refuse" | "skip" | "take"
  #unshared = 0

  /** `unreadable`: what is done about files that may not be read. */
  constructor(signal: AbortSignal | undefined, unreadable: "refuse" | "skip" | "take") {
    this.#signal = signal
    this.#unreadable = unreadable
  }

  /** A path that the user named: links are followed. */
  async top(path: string, below: string): Promise<void> {
    try {
      await this.at(fs.realpathSync(path), below)
    } catch (error) {
      throw diskError(error, path)
    }
  }

  async at(path: DiskPath, below: string): Promise<void> {
    const stat = fs.lstatSync(path)
    if (stat.isDirectory()) {
      this.#entries.push(folderEntry(below, stat))
      await this.#folder(path, below)
    } else if (stat.isFile()) this.#file(path, below, stat)
    else {
      throw new RdvError("usage", `It is no file and no folder: ${shownPath(path)}`, {
        mend: "pipe it into rdv share -",
      })
    }
  }

  end(name: string): Scan {
    const entries = sortEntries(this.#entries)
    const files = entries.flatMap((entry) => this.#files.get(entry) ?? [])
    const more =
      this.#unshared > 20 ? [`${counted(this.#unshared - 20, "more entry was", "more entries were")} left out`] : []
    return { name, entries, files, remarks: [...this.#remarks, ...more] }
  }

  async #folder(folder: DiskPath, below: string): Promise<void> {
    let found: fs.Dirent<Buffer>[]
    try {
      found = fs.readdirSync(folder, { withFileTypes: true, encoding: "buffer" })
    } catch (error) {
      if (below !== "" && isMissing(error)) return
      if (below === "" || !this.#leavesOut(error, folder, below)) throw diskError(error, folder)
      // It came last, since nothing in it was seen.
      this.#entries.pop()
      return
    }
    for (const dirent of found) {
      if (this.#breath.isDue) await this.#breath.take()
      this.#signal?.throwIfAborted()
      const name = pathText(dirent.name)
      const path = diskPath(folder, name)
      const place = below === "" ? name : `${below}/${name}`
      try {
        const stat = fs.lstatSync(path)
        if (stat.isDirectory()) {
          this.#entries.push(folderEntry(place, stat))
          await this.#folder(path, place)
        } else if (stat.isFile()) this.#file(path, place, stat)
        else if (stat.isSymbolicLink()) {
          this.#link(path, place)
        } else this.#remark(`${shownPath(place)}: no file, folder or link; left out`)
      } catch (error) {
        // It was removed while we were looking.
        if (!isMissing(error) && !this.#leavesOut(error, path, place)) throw diskError(error, path)
      }
    }
  }

  #file(path: DiskPath, below: string, stat: fs.Stats): void {
    // Now, and not behind an hour of reading others.
    if (this.#unreadable !== "take") fs.accessSync(path, fs.constants.R_OK)
    const entry: FileEntry = {
      type: "file",
      path: below,
      size: stat.size,
      mode: stat.mode & 0o777,
      mtimeMs: Math.floor(stat.mtimeMs),
    }
    this.#entries.push(entry)
    this.#files.set(entry, scannedFile(entry, path, stat))
  }

  /** Throws `forbidden` with the mend, when that is what it is. */
  #leavesOut(error: unknown, path: DiskPath, below: string): boolean {
    if (this.#unreadable === "take" || !["EACCES", "EPERM"].includes(errnoOf(error) ?? "")) return false
    if (this.#unreadable === "refuse") {
      throw new RdvError("forbidden", `No permission to read ${shownPath(path)}`, {
        cause: error,
        mend: "make it readable, or leave out with --skip-unreadable what is not",
      })
    }
    this.#remark(`${shownPath(below)}: no permission to read it; left out`)
    return true
  }

  #link(path: DiskPath, below: string): void {
    const text = pathText(fs.readlinkSync(path, { encoding: "buffer" }))
    const target = normalTarget(below, process.platform === "win32" ? text.replaceAll("\\", "/") : text)
    if (target !== undefined) this.#entries.push({ type: "symlink", path: below, target })
    else this.#remark(`${shownPath(below)}: the link leads out of what is shared; left out`)
  }

  #remark(text: string): void {
    if (++this.#unshared <= 20) this.#remarks.push(text)
  }
}

export function scannedFile(entry: FileEntry, path: DiskPath, stat: fs.Stats): ScannedFile {
  const { size, mtimeMs, ino: inode, dev: device } = stat
  // Windows has no blocks; small files may lie within their inode.
  const isSparse = size > 262_144 && stat.blocks !== undefined && stat.blocks * 512 < size - 65_536
  return { entry, path, size, mtimeMs, inode, device, isSparse }
}

function folderEntry(path: string, stat: fs.Stats): Entry {
  return { type: "folder", path, mode: stat.mode & 0o777, mtimeMs: Math.floor(stat.mtimeMs) }
}
