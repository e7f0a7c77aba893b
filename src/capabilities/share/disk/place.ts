/** Where something is put, and what lies beside it until it is whole: all on the same file system, so that a rename is enough. */

import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { printable } from "../../../base/columns.ts"
import { RdvError } from "../../../base/error.ts"
import { pathBytes } from "../content/path-text.ts"
import { diskError, isMissing } from "./disk-error.ts"
import { diskPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"
import { removeTree } from "./remove-tree.ts"

export interface Place {
  /** Exists. */
  readonly folder: string
  /** One segment. */
  readonly name: string
  readonly target: DiskPath
  /** A file, or a folder, until it is whole. */
  readonly part: DiskPath
  readonly journal: DiskPath
  readonly lock: DiskPath
  /** What had the name before, while the two change places. */
  readonly old: DiskPath
  /** A part of another version, while chunks are taken from it. */
  readonly earlier: DiskPath
}

/**
 * `path` is the name wanted, or a folder that the thing shall be put into under its own name: one that exists, or whose path
 * ends with a slash. A folder for which `isItself` answers true is the thing, as an earlier run left it, unless the path ends
 * with a slash, `.` or `..`. Throws `not_found` when there is no folder for it, `forbidden`, also for an own name that would be
 * hidden: whoever shares `.bashrc` shall not choose where it goes.
 */
export function findPlace(path: string, ownName: string, isItself: (folder: string) => boolean = () => false): Place {
  const isFolder = /[/\\]$/.test(path) && (path.endsWith("/") || process.platform === "win32")
  const whole = resolve(path)
  if (isFolder) {
    try {
      fs.mkdirSync(whole, { recursive: true })
    } catch (error) {
      throw diskError(error, whole)
    }
  }
  if (isFolder || isExistingFolder(whole)) {
    const isNamed = !isFolder && basename(whole) !== "" && !/(^|[/\\])\.{1,2}$/.test(path)
    if (isNamed && isItself(whole)) return placeIn(dirname(whole), basename(whole))
    if (ownName.startsWith(".")) throw hidden(ownName, path)
    return placeIn(whole, ownName)
  }
  const folder = dirname(whole)
  if (!isExistingFolder(folder)) throw new RdvError("not_found", `There is no folder ${folder}`)
  return placeIn(folder, basename(whole))
}

/** Puts back what a run left that ended between the two renames of a replacement, and removes what it left beside. */
export function recoverPlace(place: Place): void {
  try {
    if (!exists(place.old)) return
    if (exists(place.target)) removeTree(place.old)
    else fs.renameSync(place.old, place.target)
  } catch (error) {
    throw diskError(error, place.old)
  }
}

/** Whatever it is; links are not followed. */
export function exists(path: DiskPath): boolean {
  try {
    fs.lstatSync(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw diskError(error, path)
  }
}

/** Most bytes of one name on the file systems of today. */
const longestName = 255
const longestEnding = ".rdv-part.bin".length

function placeIn(folder: string, name: string): Place {
  // A name that fits by itself has to fit with what is put around it.
  const isLong = (pathBytes(name)?.length ?? 0) + 1 + longestEnding > longestName
  const stem = isLong ? `.${createHash("sha256").update(name).digest("hex").slice(0, 32)}` : `.${name}`
  const beside = (ending: string) => diskPath(folder, `${stem}${ending}`)
  return {
    folder,
    name,
    target: diskPath(folder, name),
    part: beside(".rdv-part"),
    journal: beside(".rdv-part.bin"),
    lock: beside(".rdv-lock"),
    old: beside(".rdv-old"),
    earlier: beside(".rdv-prior"),
  }
}

function hidden(name: string, path: string): RdvError {
  const shown = printable(name)
  return new RdvError("forbidden", `What is shared has a hidden name, ${shown}, which is not taken unasked`, {
    mend: `say how it shall be called: -o ${JSON.stringify(join(path, shown.replace(/^\.+/, "") || "NAME"))}`,
  })
}

function isExistingFolder(path: string): boolean {
  try {
    return fs.statSync(path).isDirectory()
  } catch (error) {
    if (isMissing(error)) return false
    throw diskError(error, path)
  }
}
