/**
 * A file that the user has chosen, written straight to the disk. The browser shows nobody its bytes before it is closed,
 * so the last ones stay in memory as well, for other members who ask for them; afterwards all can be read.
 */

import { RdvError } from "../../base/error.ts"
import type { Drawer } from "./drawer.ts"

export async function fileDrawer(file: FileSystemFileHandle, bytes: number): Promise<Drawer> {
  const writer = await file.createWritable()
  await writer.truncate(bytes)
  return new FileDrawer(file, writer)
}

class FileDrawer implements Drawer {
  readonly kind = "file"
  readonly #file: FileSystemFileHandle
  readonly #writer: FileSystemWritableFileStream
  /** By where they begin; the oldest first. */
  readonly #recent: Map<number, Uint8Array> = new Map()
  #recentBytes = 0
  #saved: Blob | undefined

  constructor(file: FileSystemFileHandle, writer: FileSystemWritableFileStream) {
    this.#file = file
    this.#writer = writer
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice()
    try {
      await this.#writer.write({ type: "write", position: at, data: copy })
    } catch (cause) {
      throw new RdvError("limit", `The file "${this.#file.name}" cannot be written`, {
        mend: "look at the room on the disk, and choose another place",
        cause,
      })
    }
    this.#recent.set(at, copy)
    this.#recentBytes += copy.length
    for (const [oldest, { length }] of this.#recent) {
      if (this.#recentBytes <= recentBytes) break
      this.#recent.delete(oldest)
      this.#recentBytes -= length
    }
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    const recent = this.#recent.get(at)
    if (recent?.length === length) return recent.slice()
    if (this.#saved !== undefined) return new Uint8Array(await this.#saved.slice(at, at + length).arrayBuffer())
    throw new RdvError("would_block", "The file can be read when it is whole")
  }

  keep(): void {}

  kept(): undefined {
    return undefined
  }

  async whole(): Promise<Blob> {
    if (this.#saved === undefined) {
      await this.#writer.close()
      this.#saved = await this.#file.getFile()
    }
    return this.#saved
  }

  async close(): Promise<void> {
    // What is not whole is not put in its place.
    if (this.#saved === undefined) await this.#writer.abort().catch(() => undefined)
  }

  remove(): Promise<void> {
    return this.close()
  }
}

const recentBytes = 64 * 1024 * 1024
