/**
 * Where a page keeps the bytes of what it receives: one long file, all contents behind each other, written at any place.
 * The browser's own storage, a file that the user has chosen and plain memory stand behind it.
 */

import { RdvError } from "../../base/error.ts"
import type { Soon } from "../../capabilities/share/content/chunk-crypto.ts"

export interface Drawer {
  /** `storage`: the browser's own, for this site; `file`: one that the user has chosen. */
  readonly kind: "storage" | "file" | "memory"
  /** The bytes may change afterwards. Rejects `limit` when there is no room left. */
  write(at: number, bytes: Uint8Array): Soon<void>
  /** The answer is the caller's. Rejects `would_block` where they can be read only when everything is there. */
  read(at: number, length: number): Soon<Uint8Array>
  /** Remembers a note for another visit, behind what was written before it. */
  keep(note: Uint8Array): Soon<void>
  /** The note of an earlier visit, whose bytes are still there. */
  kept(): Uint8Array | undefined
  /** Everything is there: as something that can be saved, sliced and read without holding it in memory. */
  whole(): Promise<Blob>
  /** What is there stays for another visit, where that is possible. */
  close(): Promise<void>
  remove(): Promise<void>
}

/** Makes a drawer for so many bytes; the same name finds what an earlier visit kept. Rejects `limit`. */
export type OpenDrawer = (name: string, bytes: number) => Promise<Drawer>

/** What a page may keep in memory when the browser gives it no storage. */
export const memoryDrawerBytes: number = 512 * 1024 * 1024

/** Throws `limit` above `memoryDrawerBytes`. */
export function memoryDrawer(bytes: number): Drawer {
  if (bytes > memoryDrawerBytes) {
    throw new RdvError("limit", "This browser gives the page no storage, and memory holds 512 MiB at most", {
      mend: "open the link in a window that is not private, or run rdv get with the same code",
    })
  }
  const pages: Uint8Array[] = []
  const pageAt = (index: number) => (pages[index] ??= new Uint8Array(Math.min(pageBytes, bytes - index * pageBytes)))
  const each = (at: number, length: number, use: (part: Uint8Array, offset: number) => void) => {
    for (let done = 0; done < length;) {
      const page = pageAt(Math.floor((at + done) / pageBytes))
      const from = (at + done) % pageBytes
      const count = Math.min(length - done, page.length - from)
      use(page.subarray(from, from + count), done)
      done += count
    }
  }
  return {
    kind: "memory",
    write: (at, from) => each(at, from.length, (part, offset) => part.set(from.subarray(offset, offset + part.length))),
    read(at, length) {
      const read = new Uint8Array(length)
      each(at, length, (part, offset) => read.set(part, offset))
      return read
    },
    keep: () => undefined,
    kept: () => undefined,
    async whole() {
      each(0, bytes, () => undefined)
      return new Blob(pages as Uint8Array<ArrayBuffer>[])
    },
    async close() {},
    async remove() {
      pages.length = 0
    },
  }
}

const pageBytes = 1024 * 1024
