/**
 * Where a page puts what it receives: the contents of all files behind each other in a drawer, as the manifest has them.
 * A file is a slice of it. Nothing is written before the user has agreed.
 */

import type { Clock } from "../../base/clock.ts"
import { RdvError } from "../../base/error.ts"
import { Bitmap } from "../../capabilities/share/content/bitmap.ts"
import type { ChunkCrypto } from "../../capabilities/share/content/chunk-crypto.ts"
import { checkManifest } from "../../capabilities/share/content/manifest-rules.ts"
import type { Manifest, Piece } from "../../capabilities/share/content/manifest.ts"
import type { Finished, Target, TargetHoldings, TargetVersion } from "../../capabilities/share/peer/target.ts"
import type { Drawer, OpenDrawer } from "./drawer.ts"

export interface PageTargetOptions {
  readonly clock: Clock
  readonly open: OpenDrawer
  /** Shows what is offered; done when the user wants it. */
  readonly agree: (manifest: Manifest, bytes: number) => Promise<void>
  /** How far the look at what an earlier visit has left is, bytes. */
  readonly onLook?: (bytes: number) => void
}

/** A file within the whole. */
export interface ReceivedFile {
  readonly path: string
  readonly from: number
  readonly bytes: number
  readonly mtimeMs: number | undefined
}

export class PageTarget implements Target {
  readonly #options: PageTargetOptions
  #holdings: PageHoldings | undefined

  constructor(options: PageTargetOptions) {
    this.#options = options
  }

  /** Of the version that came last. */
  get holdings(): PageHoldings | undefined {
    return this.#holdings
  }

  async open(version: TargetVersion): Promise<PageHoldings> {
    const { manifest, table } = version
    checkManifest(manifest, table)
    const bytes = manifest.pieces.reduce((sum, piece) => sum + piece.length, 0)
    const earlier = this.#holdings
    if (earlier === undefined) await this.#options.agree(manifest, bytes)
    const name = Array.from(table.root.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("")
    const drawer = await this.#options.open(name, bytes)
    const holdings = new PageHoldings(version, drawer, bytes, this.#options.clock)
    this.#holdings = holdings
    await holdings.look(this.#options.onLook)
    if (earlier !== undefined) {
      await holdings.takeOver(earlier)
      await earlier.release(true)
    }
    return holdings
  }

  /** Lets the storage go; without `keeps` it forgets what came. */
  async end(keeps: boolean): Promise<void> {
    await this.#holdings?.release(keeps)
  }
}

/** Where a chunk's bytes belong. */
interface Place {
  readonly at: number
  readonly piece: Piece
}

export class PageHoldings implements TargetHoldings {
  readonly have: Bitmap
  readonly manifest: Manifest
  readonly files: readonly ReceivedFile[]
  /** Of all files. */
  readonly bytes: number
  readonly #crypto: ChunkCrypto
  readonly #drawer: Drawer
  readonly #clock: Clock
  readonly #manifestChunks: number
  /** By chunk; the same bytes may belong to several places. */
  readonly #places: Place[][] = []
  #foundBytes = 0
  #keptAt: number
  #isReleased = false

  constructor({ table, manifest, crypto }: TargetVersion, drawer: Drawer, bytes: number, clock: Clock) {
    this.manifest = manifest
    this.bytes = bytes
    this.#crypto = crypto
    this.#drawer = drawer
    this.#clock = clock
    this.#keptAt = clock.now()
    this.#manifestChunks = table.manifestChunks
    this.have = new Bitmap(table.count)
    for (let chunk = 0; chunk < table.manifestChunks; chunk++) this.have.add(chunk)
    this.#place(manifest.pieces)
    this.files = receivedFiles(manifest)
  }

  get storage(): Drawer["kind"] {
    return this.#drawer.kind
  }

  get foundBytes(): number {
    return this.#foundBytes
  }

  /** Takes what an earlier visit has left, after a look at each chunk. */
  async look(onLook?: (bytes: number) => void): Promise<void> {
    const note = this.#drawer.kept()
    if (note === undefined) return
    let kept: Bitmap
    try {
      kept = Bitmap.from(note, this.have.length)
    } catch {
      // A note that was being written when the browser ended.
      return
    }
    for (let chunk = this.#manifestChunks; chunk < kept.length; chunk++) {
      const places = this.#places[chunk]
      if (places === undefined || !kept.has(chunk)) continue
      const isThere = await this.#holds(places)
      if (!isThere) continue
      this.have.add(chunk)
      for (const { piece } of places) this.#foundBytes += piece.length
      onLook?.(this.#foundBytes)
    }
  }

  /** Takes what an older version has of this one. */
  async takeOver(older: PageHoldings): Promise<void> {
    const known = new Map<string, number>()
    for (const [chunk, places] of older.#places.entries()) {
      const place = places?.[0]
      if (place !== undefined && older.have.has(chunk)) known.set(textOf(place.piece.identity), place.at)
    }
    for (const [chunk, places] of this.#places.entries()) {
      const piece = places?.[0]?.piece
      const at = piece === undefined ? undefined : known.get(textOf(piece.identity))
      if (places === undefined || piece === undefined || at === undefined || this.have.has(chunk)) continue
      const plain = await older.#drawer.read(at, piece.length)
      if (textOf(this.#crypto.identify(plain)) !== textOf(piece.identity)) continue
      await this.#write(places, plain)
      this.have.add(chunk)
      for (const place of places) this.#foundBytes += place.piece.length
    }
  }

  async read(chunk: number): Promise<Uint8Array> {
    const place = this.#places[chunk]?.[0]
    if (place === undefined) throw new RdvError("not_found", `Chunk ${chunk} holds no file's bytes`)
    const { at, piece } = place
    return this.#crypto.seal(await this.#drawer.read(at, piece.length), piece.identity)
  }

  async store(chunk: number, sealed: Uint8Array): Promise<void> {
    const places = this.#places[chunk]
    if (this.#isReleased) throw new RdvError("closed", "This version is not received any more")
    if (places !== undefined) {
      const [{ piece }] = places as [Place]
      await this.#write(places, await this.#crypto.open(sealed, piece.identity))
    }
    this.have.add(chunk)
    const now = this.#clock.now()
    if (now - this.#keptAt < keepEveryMs) return
    this.#keptAt = now
    await this.#drawer.keep(this.have.bytes())
  }

  async finish(): Promise<Finished> {
    await this.#drawer.keep(this.have.bytes())
    await this.whole()
    const { name, entries } = this.manifest
    const place = this.#drawer.kind === "file" ? name : `${name}, in this browser`
    const links = entries.filter(({ type }) => type === "symlink").length
    const remarks = links === 0 ? [] : [`${links} symbolic ${links === 1 ? "link was" : "links were"} left out`]
    return { place, files: this.files.length, bytes: this.bytes, remarks }
  }

  /** All contents behind each other. */
  whole(): Promise<Blob> {
    return this.#drawer.whole()
  }

  /** The storage stays open: the next version takes from it what has not changed. */
  async close(): Promise<void> {
    if (!this.#isReleased) await this.#drawer.keep(this.have.bytes())
  }

  async release(keeps: boolean): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    await (keeps ? this.#drawer.close() : this.#drawer.remove())
  }

  discard(): Promise<void> {
    return this.release(false)
  }

  #place(pieces: readonly Piece[]): void {
    let at = 0
    for (const piece of pieces) {
      if (piece.chunk !== "zeros") (this.#places[piece.chunk] ??= []).push({ at, piece })
      at += piece.length
    }
  }

  async #write(places: readonly Place[], plain: Uint8Array): Promise<void> {
    for (const { at } of places) await this.#drawer.write(at, plain)
  }

  async #holds(places: readonly Place[]): Promise<boolean> {
    for (const { at, piece } of places) {
      const plain = await this.#drawer.read(at, piece.length)
      if (textOf(this.#crypto.identify(plain)) !== textOf(piece.identity)) return false
    }
    return true
  }
}

function receivedFiles({ name, entries }: Manifest): ReceivedFile[] {
  const files: ReceivedFile[] = []
  let from = 0
  for (const entry of entries) {
    if (entry.type !== "file") continue
    files.push({ path: entry.path === "" ? name : entry.path, from, bytes: entry.size, mtimeMs: entry.mtimeMs })
    from += entry.size
  }
  return files
}

function textOf(identity: Uint8Array): string {
  let text = ""
  for (const byte of identity) text += String.fromCharCode(byte)
  return text
}

/** What came since the last note is fetched again after a crash of the browser; ms. */
const keepEveryMs = 1_000
