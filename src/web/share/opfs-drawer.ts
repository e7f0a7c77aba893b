/**
 * The browser's own storage for this site (origin private file system): in a worker it is read and written at once, and
 * what it keeps is a real file, which the user can save without a copy through memory. Drawers of earlier visits are
 * found again by their name, and removed when nobody has come back for them.
 */

import { RdvError } from "../../base/error.ts"
import type { Drawer } from "./drawer.ts"

/** Only in dedicated workers; the compiler's library for pages does not have it. */
interface AccessHandle {
  read(into: Uint8Array, options: { at: number }): number
  write(from: Uint8Array, options: { at: number }): number
  truncate(size: number): void
  flush(): void
  getSize(): number
  close(): void
}
interface WorkerFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<AccessHandle>
}

/** Undefined where the browser gives no storage: in private windows of some, and without HTTPS. */
export async function opfsFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const top = await navigator.storage.getDirectory()
    return await top.getDirectoryHandle("rdv-share", { create: true })
  } catch {
    return undefined
  }
}

/** Undefined where the storage cannot be used this way. Rejects `limit` when the browser has not enough of it. */
export async function opfsDrawer(
  folder: FileSystemDirectoryHandle,
  name: string,
  bytes: number,
): Promise<Drawer | undefined> {
  for (let copy = 0; copy < mostCopies; copy++) {
    const place = copy === 0 ? name : `${name}-${copy + 1}`
    const file = (await folder.getFileHandle(`${place}.part`, { create: true })) as WorkerFileHandle
    if (file.createSyncAccessHandle === undefined) return undefined
    let part: AccessHandle
    try {
      part = await file.createSyncAccessHandle()
    } catch (error) {
      // Another tab receives the same: this one keeps a copy of its own.
      if (error instanceof DOMException && error.name === "NoModificationAllowedError") continue
      return undefined
    }
    const note = await ((await folder.getFileHandle(`${place}.note`, { create: true })) as WorkerFileHandle)
      .createSyncAccessHandle()
      .catch((error: unknown) => {
        part.close()
        throw error
      })
    try {
      await makeRoom(part, bytes)
    } catch (error) {
      part.close()
      note.close()
      await removeDrawer(folder, place)
      throw error
    }
    return new OpfsDrawer(folder, place, file, part, note)
  }
  throw new RdvError("limit", "Too many tabs of this browser receive this at once", { mend: "close one of them" })
}

/** Removes what was kept so long ago that nobody comes back for it; what another tab uses stays. */
export async function removeOldDrawers(folder: FileSystemDirectoryHandle, nowMs: number): Promise<void> {
  const names: string[] = []
  for await (const name of folder.keys()) names.push(name)
  for (const name of names.filter((each) => each.endsWith(".part"))) {
    try {
      const file = await (await folder.getFileHandle(name)).getFile()
      if (nowMs - file.lastModified > keptMs) await removeDrawer(folder, name.slice(0, -".part".length))
    } catch {
      // It is in use, or another tab was faster.
    }
  }
}

class OpfsDrawer implements Drawer {
  readonly kind = "storage"
  readonly #folder: FileSystemDirectoryHandle
  readonly #name: string
  readonly #file: FileSystemFileHandle
  readonly #part: AccessHandle
  readonly #note: AccessHandle

  constructor(
    folder: FileSystemDirectoryHandle,
    name: string,
    file: FileSystemFileHandle,
    part: AccessHandle,
    note: AccessHandle,
  ) {
    this.#folder = folder
    this.#name = name
    this.#file = file
    this.#part = part
    this.#note = note
  }

  write(at: number, bytes: Uint8Array): void {
    let written: number
    try {
      written = this.#part.write(bytes, { at })
    } catch (error) {
      throw full(error)
    }
    if (written !== bytes.length) throw full(undefined)
  }

  read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    const count = this.#part.read(bytes, { at })
    if (count !== length) throw new RdvError("corrupt", "The browser's storage gave fewer bytes than it took")
    return bytes
  }

  keep(note: Uint8Array): void {
    this.#part.flush()
    this.#note.truncate(note.length)
    this.#note.write(note, { at: 0 })
    this.#note.flush()
  }

  kept(): Uint8Array | undefined {
    const size = this.#note.getSize()
    if (size === 0) return undefined
    const bytes = new Uint8Array(size)
    return this.#note.read(bytes, { at: 0 }) === size ? bytes : undefined
  }

  async whole(): Promise<Blob> {
    this.#part.flush()
    return this.#file.getFile()
  }

  async close(): Promise<void> {
    this.#part.close()
    this.#note.close()
  }

  async remove(): Promise<void> {
    await this.close()
    await removeDrawer(this.#folder, this.#name)
  }
}

/** Takes the room at once: a disk that is too small is told before the first byte came, not at 99 %. */
async function makeRoom(part: AccessHandle, bytes: number): Promise<void> {
  const { quota, usage } = await navigator.storage.estimate()
  const more = bytes - part.getSize()
  if (quota !== undefined && usage !== undefined && more > quota - usage) throw full(undefined, quota - usage)
  try {
    if (part.getSize() !== bytes) part.truncate(bytes)
  } catch (error) {
    throw full(error)
  }
}

async function removeDrawer(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  for (const ending of [".part", ".note"]) {
    await folder.removeEntry(name + ending).catch((error: unknown) => {
      if (!(error instanceof DOMException && error.name === "NotFoundError")) throw error
    })
  }
}

function full(cause: unknown, leftBytes?: number): RdvError {
  const left = leftBytes === undefined ? "" : `: ${Math.floor(leftBytes / 1e6)} MB are left`
  return new RdvError("limit", `The browser has no room for it${left}`, {
    mend: "save it straight to a file, free some disk space, or run rdv get with the same code",
    cause,
  })
}

/** Tabs of one browser that receive the same. */
const mostCopies = 8
/** Kept for those who come back, ms: a week. */
const keptMs = 7 * 86_400_000
