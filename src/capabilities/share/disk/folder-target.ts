/**
 * Receives into a folder of this machine. What comes is kept in a part beside the target, hidden, until it is whole; an
 * interrupted run is gone on with; what an older version has of the new one is taken from there.
 */

import * as fs from "node:fs"
import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log } from "../../../base/log.ts"
import { Bitmap } from "../content/bitmap.ts"
import type { FileEntry, Manifest } from "../content/manifest.ts"
import { pathText } from "../content/path-text.ts"
import type { Target, TargetHoldings, TargetVersion } from "../peer/target.ts"
import { amount } from "../terminal/amounts.ts"
import { diskError } from "./disk-error.ts"
import { diskPath, shownPath } from "./disk-path.ts"
import { findByContent, findByManifest, findByPlace, hasSameBytes, hasSameShape, lookAt } from "./find-chunks.ts"
import type { Search } from "./find-chunks.ts"
import { FolderHoldings } from "./folder-holdings.ts"
import { Journal } from "./journal.ts"
import { isFileAlone } from "../content/manifest-rules.ts"
import { checkNames, doubtfulNames } from "./name-check.ts"
import type { NameRules } from "./name-check.ts"
import { inspectPart, makeFolder } from "./part-files.ts"
import { PartLock } from "./part-lock.ts"
import { PieceMap } from "./piece-map.ts"
import { exists, findPlace, recoverPlace } from "./place.ts"
import type { Place } from "./place.ts"
import { removeTree } from "./remove-tree.ts"
import { recallChunks } from "./recall-chunks.ts"
import { lookOf } from "./tree-scan.ts"
import type { Scan } from "./tree-scan.ts"

export interface FolderTargetOptions {
  /**
   * The name that it shall have, or a folder that it goes into under its own name: one that exists, or whose path ends with a slash.
   * Default: the working directory.
   */
  readonly path?: string
  /** What has the name and is something else gives way. Default false: then `open` rejects `exists`. */
  readonly overwrite?: boolean
  /** `finish` waits until the disk has it, for trees of up to 1,000 files. Default true. */
  readonly sync?: boolean
  /** Memory for chunks that others may ask for, bytes. Default 8 MiB. */
  readonly cacheBytes?: number
  /** Gives up a look at what is there, which may take minutes. */
  readonly signal?: AbortSignal
  readonly clock?: Clock
  readonly log?: Log
}

export function folderTarget(options: FolderTargetOptions = {}): Target {
  return new FolderTarget(options)
}

class FolderTarget implements Target {
  readonly #options: FolderTargetOptions
  readonly #log: Log
  /** The same for all versions, although the name of the first one may be a folder by now. */
  #place: Place | undefined
  #last: FolderHoldings | undefined
  /** What stood in the target right behind the last version that was whole. */
  #ownLook: string | undefined

  constructor(options: FolderTargetOptions) {
    this.#options = options
    this.#log = options.log ?? silentLog
  }

  async open(version: TargetVersion): Promise<TargetHoldings> {
    const { manifest, table, crypto } = version
    const map = new PieceMap(manifest, table)
    const isItself = (folder: string) => isLikely(folder, manifest)
    const place = (this.#place ??= findPlace(this.#options.path ?? ".", manifest.name, isItself))
    checkNames(place.name, manifest.entries, rulesOf(place, false))
    if (exists(place.old)) recover(place)
    const { signal } = this.#options
    const scan = await lookAt(place.target, signal)
    const last = this.#last
    const isLike = scan !== undefined && hasSameShape(scan, map)
    if (isLike && (await hasSameBytes(place.target, scan, map, crypto, signal))) {
      this.#ownLook = lookOf(scan)
      last?.setAside()
      removeLeft(place, version)
      return this.#keep(this.#holdings(version, place, undefined))
    }
    checkKind(place, isFileAlone(manifest.entries))
    if (!this.#mayReplace(scan) && exists(place.target)) throw taken(place)
    last?.setAside()
    // What never fits shall leave nothing behind; of a part, some is there already.
    if (!exists(place.part)) checkRoom(place, map, undefined)
    const lock = PartLock.take(place.lock, place.folder)
    const holdings = this.#holdings(version, place, lock)
    try {
      await this.#begin(version, holdings, place, last)
      const isOwn = last?.isPlaced === true && scan !== undefined && lookOf(scan) === this.#ownLook
      await this.#search(version, holdings, { place, last, scan: isOwn ? undefined : scan })
      return this.#keep(holdings)
    } catch (error) {
      await holdings.close()
      throw diskError(error, place.part)
    }
  }

  #keep(holdings: FolderHoldings): TargetHoldings {
    holdings.foundBytes = foundBytes(holdings)
    this.#last = holdings
    return holdings
  }

  #holdings(version: TargetVersion, place: Place, lock: PartLock | undefined): FolderHoldings {
    const { sync = true, cacheBytes = 8 * 1024 * 1024, clock = systemClock } = this.#options
    return new FolderHoldings({
      version,
      place,
      lock,
      sync,
      cacheBytes,
      clock,
      log: this.#log,
      mayReplace: async () => this.#mayReplace(await lookAt(place.target)),
      onPlaced: async () => {
        const scan = await lookAt(place.target)
        this.#ownLook = scan === undefined ? undefined : lookOf(scan)
      },
    })
  }

  /** What an earlier version of ours left, as it left it, may always go. */
  #mayReplace(scan: Scan | undefined): boolean {
    return this.#options.overwrite === true || (scan !== undefined && lookOf(scan) === this.#ownLook)
  }

  /** Goes on with the part of an interrupted run, or starts one. */
  async #begin(version: TargetVersion, holdings: FolderHoldings, place: Place, last?: FolderHoldings): Promise<void> {
    const { manifest, table, crypto } = version
    const facts = Journal.read(place.journal, table.count)
    const isOther = facts === undefined ? exists(place.journal) : Buffer.compare(facts.root, table.root) !== 0
    if (isOther && exists(place.part)) {
      removeTree(place.earlier)
      fs.renameSync(place.part, place.earlier)
      if (last?.isPlaced === false) last.movedTo(place.earlier)
    }
    const part = isOther ? undefined : await inspectPart(place.part, manifest.entries)
    if (part !== undefined) {
      const { files, have, map: places } = holdings
      // A part whose journal is lost may be anything: all of it is looked at.
      const journal = facts ?? {
        sequence: 0,
        root: table.root,
        have: fullBitmap(table.count),
        mtimeMs: 0,
        isSameBoot: false,
      }
      const pathOf = (file: number) => diskPath(place.part, (places.files[file] as FileEntry).path)
      const checked = await recallChunks({
        places,
        crypto,
        files,
        pathOf,
        journal,
        part,
        have,
        signal: this.#options.signal,
      })
      this.#log.debug("share.resumed", { chunks: have.count - table.manifestChunks, checked })
    }
    // A part that is made new shall not meet an old journal, whenever this is cut short.
    if (part === undefined) removeTree(place.journal)
    checkRoom(place, holdings.map, holdings.have)
    makePart(place, holdings)
    holdings.keepJournal(part?.mtimeMs ?? 0, part === undefined ? undefined : facts)
  }

  /** Takes over what other versions have of this one. */
  async #search(version: TargetVersion, holdings: FolderHoldings, sources: Sources): Promise<void> {
    const { place, last, scan } = sources
    const { map: places, have } = holdings
    const search: Search = {
      places,
      have,
      signal: this.#options.signal,
      crypto: version.crypto,
      put: (chunk, plain) => holdings.put(chunk, plain),
    }
    const earlier = await lookAt(place.earlier)
    if (last !== undefined) await findByManifest(last.files, last.map, (chunk) => last.have.has(chunk), search)
    else if (earlier !== undefined) {
      await findByPlace(place.earlier, earlier, search)
      await findByContent(earlier, search)
    }
    if (scan !== undefined) {
      await findByPlace(place.target, scan, search)
      await findByContent(scan, search)
    }
    if (last?.isPlaced === false) last.files.close()
    removeTree(place.earlier)
  }
}

interface Sources {
  readonly place: Place
  /** The version before, in this process. */
  readonly last: FolderHoldings | undefined
  /** What has the name, if it is something else. */
  readonly scan: Scan | undefined
}

function fullBitmap(length: number): Bitmap {
  const bitmap = new Bitmap(length)
  bitmap.fill()
  return bitmap
}

function foundBytes({ map, have }: FolderHoldings): number {
  let bytes = 0
  for (const { chunk, length } of map.manifest.pieces) if (chunk !== "zeros" && have.has(chunk)) bytes += length
  return bytes
}

function taken({ target }: Place): RdvError {
  return new RdvError("exists", `Something else has the name: ${shownPath(target)}`, {
    mend: "choose another name with -o (with a / at its end: a folder to put it into), or let it be replaced with --overwrite",
  })
}

/** `-o /dev/null --overwrite` shall not cost a machine its `/dev/null`, nor a file take the place of a folder with all that is in it. */
function checkKind({ target }: Place, isFile: boolean): void {
  const stat = fs.lstatSync(target, { throwIfNoEntry: false })
  if (isFile && stat?.isDirectory() === true && fs.readdirSync(target).length > 0) {
    throw new RdvError("exists", `What has the name is a folder with something in it: ${shownPath(target)}`, {
      mend: "choose another name with -o, or a / at its end to put the file into it",
    })
  }
  if (stat === undefined || stat.isFile() || stat.isDirectory() || stat.isSymbolicLink()) return
  throw new RdvError("exists", `What has the name is no file and no folder: ${shownPath(target)}`, {
    mend: "choose another name with -o",
  })
}

/** What a run left that ended right behind its last step, or whose work somebody else has done meanwhile. */
function removeLeft(place: Place, { table }: TargetVersion): void {
  try {
    const facts = Journal.read(place.journal, table.count)
    if (facts === undefined || Buffer.compare(facts.root, table.root) !== 0) return
    const lock = PartLock.take(place.lock, place.folder)
    removeTree(place.part)
    removeTree(place.journal)
    lock.release()
  } catch {
    // Somebody is at it, or nobody may write here: nothing is missing all the same.
  }
}

/** While another process replaces a target, it is away for a moment: that is no run which died. */
function recover(place: Place): void {
  const lock = PartLock.take(place.lock, place.folder)
  try {
    recoverPlace(place)
  } finally {
    lock.release()
  }
}

/** A folder that holds much of the same at its top, and not the thing under its own name: an earlier run put it there. */
function isLikely(folder: string, { name, entries }: Manifest): boolean {
  const names = new Set(entries.map(({ path }) => path.split("/", 1)[0] as string))
  names.delete("")
  const found = fs.readdirSync(folder, { encoding: "buffer" }).map((each) => pathText(each))
  const common = found.filter((each) => names.has(each)).length
  return common > 0 && common * 2 >= names.size + found.length - common && !found.includes(name)
}

/** Makes the part, and finds out whether its names can be had here. */
function makePart(place: Place, { map, files }: FolderHoldings): void {
  const { entries } = map.manifest
  if (isFileAlone(entries)) {
    files.descriptor(0)
    return
  }
  makeFolder(place.part, "")
  checkNames(place.name, entries, rulesOf(place, foldsCase(place)))
  for (const name of doubtfulNames(entries)) {
    const path = diskPath(place.part, name)
    if (exists(path)) continue
    try {
      fs.mkdirSync(path)
      fs.rmdirSync(path)
    } catch (error) {
      throw diskError(error, path)
    }
  }
}

function rulesOf({ folder, name }: Place, isFolding: boolean): NameRules {
  const folderBytes = Buffer.byteLength(folder) + 1 + Buffer.byteLength(name) + partBytes
  return { platform: process.platform, foldsCase: isFolding, folderBytes }
}

/** What the name of a part is longer than that of its target. */
const partBytes = 10

/** True where the part answers to its name in capitals too. */
function foldsCase({ folder, part }: Place): boolean {
  const name = shownPath(part).slice(folder.length + 1)
  return exists(diskPath(folder, name.toUpperCase()))
}

/** Throws `limit` when what is missing does not fit on the disk. */
function checkRoom({ folder }: Place, { manifest }: PieceMap, have: Bitmap | undefined): void {
  let needed = 0
  for (const { chunk, length } of manifest.pieces) if (chunk !== "zeros" && have?.has(chunk) !== true) needed += length
  const { bavail, bsize, blocks } = fs.statfsSync(folder)
  const free = bavail * bsize
  // Some file systems over a network tell nothing.
  if (blocks === 0 || needed <= free) return
  throw new RdvError(
    "limit",
    `There is not enough room in ${folder}: ${amount(needed)} are needed, ${amount(free)} are free`,
    {
      mend: "free some space or choose another folder with -o",
    },
  )
}
