/**
 * The second level of the cache: what memory has no room for any more goes into files of a folder, up to a bound. Nothing
 * of it outlives the process: the sender's files are the truth, and this is only nearer.
 */

import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { open, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"

export interface ChunkDiskOptions {
  readonly folder: string
  readonly bytes: number
  readonly log: Log
}

export class ChunkDisk {
  /** A file was dropped to make room, or could not be read. */
  onGone: ((key: string) => void) | undefined
  readonly #options: ChunkDiskOptions
  /** Lengths by key, those that were used last at the end. */
  readonly #files: Map<string, number> = new Map()
  #bytes = 0
  #writing = 0
  #hasFailed = false
  #isClosed = false

  /** Throws `usage` when the folder cannot be used. Files that an earlier run left are removed. */
  constructor(options: ChunkDiskOptions) {
    this.#options = options
    const { folder } = options
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      for (const name of readdirSync(folder)) if (name.endsWith(suffix)) rmSync(join(folder, name), { force: true })
    } catch (error) {
      const why = (error as { code?: string }).code ?? "?"
      throw new RdvError("usage", `The folder for chunks ${folder} cannot be used (${why})`, {
        cause: error,
        mend: "check that it is yours and not read-only, or leave it out",
      })
    }
  }

  /** Few writes at once: whoever produces faster than the disk writes does without it. */
  get hasRoom(): boolean {
    return !this.#isClosed && this.#writing < mostWriting
  }

  status(): { chunks: number; bytes: number } {
    return { chunks: this.#files.size, bytes: this.#bytes }
  }

  /** False when it could not be written; the memory may not change before that is known. */
  async write(key: string, memory: Uint8Array): Promise<boolean> {
    if (memory.length > this.#options.bytes) return false
    this.#writing++
    try {
      await writeFile(this.#path(key), memory, { mode: 0o600 })
    } catch (error) {
      // A full disk: the cache goes on without it, and tries again with the next chunk.
      if (!this.#hasFailed) {
        const reason = (error as { code?: string }).code ?? String(error)
        this.#options.log.warn("share.disk_failed", { folder: this.#options.folder, reason })
      }
      this.#hasFailed = true
      await this.#unlink(key)
      return false
    } finally {
      this.#writing--
    }
    this.#hasFailed = false
    if (this.#isClosed) {
      await this.#unlink(key)
      return false
    }
    this.#bytes += memory.length - (this.#files.get(key) ?? 0)
    this.#files.delete(key)
    this.#files.set(key, memory.length)
    for (const oldest of this.#files.keys()) {
      if (this.#bytes <= this.#options.bytes) break
      this.#drop(oldest)
    }
    return true
  }

  /** False when it is not there. */
  async read(key: string, into: Uint8Array): Promise<boolean> {
    const length = this.#files.get(key)
    if (length !== into.length) return false
    this.#files.delete(key)
    this.#files.set(key, length)
    try {
      await using file = await open(this.#path(key), "r")
      let at = 0
      while (at < into.length) {
        const { bytesRead } = await file.read(into, at, into.length - at, at)
        if (bytesRead === 0) return false
        at += bytesRead
      }
      return true
    } catch {
      // Somebody has removed it: the chunk is fetched again.
      this.remove(key)
      return false
    }
  }

  remove(key: string): void {
    const length = this.#files.get(key)
    if (length === undefined) return
    this.#files.delete(key)
    this.#bytes -= length
    void this.#unlink(key)
  }

  close(): void {
    this.#isClosed = true
    for (const key of this.#files.keys()) rmSync(this.#path(key), { force: true })
    this.#files.clear()
    this.#bytes = 0
  }

  #drop(key: string): void {
    this.remove(key)
    this.onGone?.(key)
  }

  async #unlink(key: string): Promise<void> {
    // Left behind, it is removed at the next start.
    await rm(this.#path(key), { force: true }).catch(() => undefined)
  }

  /** Keys are hashes as text of bytes; names of files are hashes of that, since a sender chooses what a table says. */
  #path(key: string): string {
    return join(this.#options.folder, createHash("sha256").update(key, "latin1").digest("hex") + suffix)
  }
}

const suffix = ".chunk"
const mostWriting = 8
