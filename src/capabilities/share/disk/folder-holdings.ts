/**
 * What a receiver has of a version, in a part beside its target until all of it is there, and in the target from then on.
 * Chunks are opened and written as they come; the journal is told of them a little later.
 */

import * as fs from "node:fs"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { sealBytes } from "../content/chunk-crypto.ts"
import type { ChunkCrypto, Soon } from "../content/chunk-crypto.ts"
import { isFileAlone } from "../content/manifest-rules.ts"
import type { Finished, TargetHoldings, TargetVersion } from "../peer/target.ts"
import { ByteCache } from "./byte-cache.ts"
import { shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"
import { Journal } from "./journal.ts"
import type { JournalFacts } from "./journal.ts"
import { inspectPart, PartFiles } from "./part-files.ts"
import type { FileSet } from "./file-set.ts"
import type { PartLock } from "./part-lock.ts"
import type { PieceMap } from "./piece-map.ts"
import type { Place } from "./place.ts"
import { finishEntries, putInPlace, syncFiles, syncFolder } from "./put-in-place.ts"
import { removeTree } from "./remove-tree.ts"
import { ReadHoldings } from "./read-holdings.ts"

export interface FolderHoldingsOptions {
  readonly version: TargetVersion
  readonly place: Place
  /** Undefined: all of it is in the target already. */
  readonly lock: PartLock | undefined
  /** What has the name now may go. */
  mayReplace(): Promise<boolean>
  /** It is in its place. */
  onPlaced(): Promise<void>
  readonly sync: boolean
  readonly cacheBytes: number
  readonly clock: Clock
  readonly log: Log
}

type OpensInto = ChunkCrypto & Required<Pick<ChunkCrypto, "openInto">>

function canOpenInto(crypto: ChunkCrypto): crypto is OpensInto {
  return crypto.openInto !== undefined
}

const journalMs = 500
/** With more files, waiting for the disk to have each of them would take longer than all else. */
const mostSyncedFiles = 1_000

export class FolderHoldings extends ReadHoldings implements TargetHoldings {
  foundBytes = 0
  readonly #options: FolderHoldingsOptions
  readonly #files: PartFiles
  /** For a chunk that is open, on its way to its file. */
  #scratch: Buffer | undefined
  #state: "part" | "finishing" | "placed" | "aside" | "closed"
  #isPlaced: boolean
  #journal: Journal | undefined
  #journalTimer: Timer | undefined
  #foundMtimeMs = 0
  /** The file that was written last. */
  #lastWritten = -1
  #finished: Promise<Finished> | undefined
  #hasTried = false

  constructor(options: FolderHoldingsOptions) {
    const { version, place, cacheBytes } = options
    const isThere = options.lock === undefined
    const entries = version.manifest.entries.filter((entry) => entry.type === "file")
    const files = new PartFiles(isThere ? place.target : place.part, entries, isThere)
    super({ ...version, files: files.set, cache: new ByteCache(cacheBytes) })
    this.#options = options
    this.#files = files
    this.#isPlaced = isThere
    this.#state = isThere ? "placed" : "part"
    for (let chunk = 0; chunk < version.table.manifestChunks; chunk++) this.have.add(chunk)
    if (isThere) this.have.fill()
  }

  /** Where its chunks belong. */
  get map(): PieceMap {
    return this.places
  }

  get isPlaced(): boolean {
    return this.#isPlaced
  }

  /** From now on what is there is remembered. `mtimeMs`: of the part as it was found, and the journal that was with it. */
  keepJournal(mtimeMs: number, before?: JournalFacts): void {
    this.#foundMtimeMs = mtimeMs
    this.#journal = Journal.open(this.#options.place.journal, this.table.root, this.have, before)
    this.#note()
  }

  store(chunk: number, sealed: Uint8Array): Soon<void> {
    if (this.#state !== "part" && this.#state !== "placed") return Promise.reject(closed())
    if (this.have.has(chunk)) return undefined
    if (this.#isPlaced) {
      return Promise.reject(new RdvError("corrupt", `Something else changed ${shownPath(this.#options.place.target)}`))
    }
    const { crypto } = this.#options.version
    const identity = this.places.identityOf(chunk)
    try {
      if (canOpenInto(crypto)) return this.#openInto(crypto, chunk, sealed, identity)
      const plain = crypto.open(sealed, identity)
      return plain instanceof Promise ? plain.then((bytes) => this.put(chunk, bytes)) : this.put(chunk, plain)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** Keeps a chunk that is open. Throws or rejects as `store` does. Nobody may change the bytes before it is done. */
  put(chunk: number, plain: Uint8Array): Soon<void> {
    if (plain.length !== this.places.lengthOf(chunk)) {
      return Promise.reject(new RdvError("corrupt", `Chunk ${chunk} is not as long as its manifest says`))
    }
    let piece = this.places.firstOf(chunk)
    try {
      for (; piece >= 0; piece = this.places.nextOf(piece)) {
        const writing = this.#write(piece, plain)
        if (writing instanceof Promise) return this.#putRest(writing, chunk, plain, this.places.nextOf(piece))
      }
    } catch (error) {
      return Promise.reject(error as Error)
    }
    this.#has(chunk)
    return undefined
  }

  finish(): Promise<Finished> {
    this.#finished ??= this.#finish().catch((error: unknown) => {
      this.#finished = undefined
      if (this.#state === "finishing") this.#state = "part"
      throw error
    })
    return this.#finished
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return
    await this.#finished?.catch(() => undefined)
    this.#state = "closed"
    this.#endJournal(true)
    this.release()
    this.#options.lock?.release()
  }

  async discard(): Promise<void> {
    const { place } = this.#options
    const isPart = this.#state === "part" || this.#state === "finishing"
    await this.close()
    if (!isPart || this.#isPlaced) return
    removeTree(place.journal)
    removeTree(place.part)
  }

  /** Another version takes over: nothing can be stored any more. */
  setAside(): void {
    if (this.#state !== "part") return
    this.#state = "aside"
    this.#endJournal(true)
    this.#options.lock?.release()
    this.#files.set.close()
  }

  /** What was set aside is there now. */
  movedTo(root: DiskPath): void {
    this.#files.moved(root)
  }

  /** What is there, wherever it is now, for reading. */
  get files(): FileSet {
    return this.#files.set
  }

  #write(piece: number, plain: Uint8Array): Soon<void> {
    const start = this.places.starts[piece] as number
    this.#lastWritten = this.#files.set.fileAt(start)
    return this.#files.set.write(start, plain)
  }

  #openInto(crypto: OpensInto, chunk: number, sealed: Uint8Array, identity: Uint8Array): Soon<void> {
    const length = Math.max(0, sealed.length - sealBytes)
    const kept = this.#scratch
    const memory = kept !== undefined && kept.length >= length ? kept : Buffer.allocUnsafeSlow(length)
    this.#scratch = undefined
    const plain = memory.subarray(0, length)
    crypto.openInto(sealed, identity, plain)
    const putting = this.put(chunk, plain)
    if (!(putting instanceof Promise)) {
      this.#scratch = memory
      return undefined
    }
    // Its bytes are being read until then.
    return putting.then(() => {
      this.#scratch = memory
    })
  }

  async #putRest(writing: Promise<void>, chunk: number, plain: Uint8Array, next: number): Promise<void> {
    await writing
    for (let piece = next; piece >= 0; piece = this.places.nextOf(piece)) await this.#write(piece, plain)
    this.#has(chunk)
  }

  #has(chunk: number): void {
    this.have.add(chunk)
    this.#note()
  }

  /** The journal is behind. */
  #note(): void {
    if (this.#journal === undefined || this.#journalTimer !== undefined) return
    this.#journalTimer = this.#options.clock.after(journalMs, () => {
      this.#journalTimer = undefined
      this.#writeJournal()
    })
  }

  #writeJournal(): void {
    if (this.#journal === undefined) return
    try {
      const last = this.#lastWritten
      const mtimeMs = last < 0 ? this.#foundMtimeMs : fs.fstatSync(this.#files.set.descriptor(last)).mtimeMs
      this.#journal.write(this.have, mtimeMs)
    } catch (error) {
      // What is stored is safe; the next run has to look at more of it.
      const { path, reason } = { path: shownPath(this.#options.place.journal), reason: (error as Error).message }
      this.#options.log.warn("share.journal_failed", { path, reason })
    }
  }

  #endJournal(writes: boolean): void {
    this.#journalTimer?.cancel()
    this.#journalTimer = undefined
    if (this.#journal === undefined) return
    if (writes) this.#writeJournal()
    this.#journal.close()
    this.#journal = undefined
  }

  async #finish(): Promise<Finished> {
    const { place, sync, log } = this.#options
    const { manifest } = this
    if (this.#state === "closed" || this.#state === "aside") throw closed()
    if (!this.have.isFull) throw new RdvError("internal", "It was to be put in its place before all of it was there")
    if (this.#isPlaced) return this.#report(["it was there already"])
    this.#state = "finishing"
    // What an attempt that failed left takes no second one: links, and folders that allow no writing.
    if (this.#hasTried) await inspectPart(place.part, manifest.entries)
    this.#hasTried = true
    const remarks = await finishEntries(place.part, manifest, this.#files.set)
    const { length } = this.places.files
    if (sync && length <= mostSyncedFiles) await syncFiles(this.#files.set, length)
    // Windows moves nothing that is open.
    this.#files.set.close()
    const isTree = !isFileAlone(manifest.entries)
    remarks.push(...putInPlace(place, await this.#options.mayReplace(), isTree))
    this.#isPlaced = true
    this.#state = "placed"
    this.#files.moved(place.target)
    this.#endJournal(false)
    removeTree(place.journal)
    removeTree(place.earlier)
    this.#options.lock?.release()
    if (sync) syncFolder(place.folder)
    await this.#options.onPlaced()
    log.debug("share.placed", { path: shownPath(place.target) })
    return this.#report(remarks)
  }

  #report(remarks: readonly string[]): Finished {
    const place = shownPath(this.#options.place.target)
    return { place, files: this.places.files.length, bytes: this.places.totalBytes, remarks }
  }
}

function closed(): RdvError {
  return new RdvError("closed", "The target is closed")
}
