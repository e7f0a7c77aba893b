/**
 * Reading folders. The entries are taken once, when a client begins at offset 0, so that offsets stay true while others make
 * and remove files. 9P2000.L counts entries; 9P2000 and .u count bytes of stat records, which are never split.
 */

import { statOf } from "./attributes.ts"
import { andThen } from "./awaited.ts"
import { entryType } from "./bits.ts"
import { entryBytes } from "./codec.ts"
import { concat } from "../base/bytes.ts"
import { NinepError } from "./errno.ts"
import { isFolder } from "./fids.ts"
import type { Dialect, FolderEntry, U64 } from "./message.ts"
import { encodeStat } from "./stat-record.ts"
import type { Entry, Handle, Node } from "./tree.ts"

/** What one open folder has been read of. */
export class Listing {
  readonly #folder: Node
  readonly #handle: Handle
  #entries: readonly Entry[] | undefined
  /** Where a read of stat records may go on: the byte, and the entry there. */
  #nextByte = 0
  #nextEntry = 0

  constructor(folder: Node, handle: Handle) {
    this.#folder = folder
    this.#handle = handle
  }

  /** Treaddir: entries from `offset`, in all at most `count` bytes. `.` and `..` come first, as Linux expects. */
  readdir(offset: U64, count: number): FolderEntry[] | Promise<FolderEntry[]> {
    return andThen(this.#load(offset === 0), (entries) =>
      andThen(this.#folder.parent(), (parent) => {
        const all = entries.length + 2
        const found: FolderEntry[] = []
        let room = count
        for (let index = Number(offset); index < all; index++) {
          const entry = index === 0 ? { name: ".", node: this.#folder } : (entries[index - 2] as Entry)
          const { name, node } = index === 1 ? { name: "..", node: parent } : entry
          const type = isFolder(node) ? entryType.DIRECTORY : entryType.REGULAR
          const written = { qid: node.qid, offset: index + 1, type, name }
          room -= entryBytes(written)
          if (room < 0 && found.length === 0) throw new NinepError("EINVAL", `No entry fits into ${count} bytes`)
          if (room < 0) break
          found.push(written)
        }
        return found
      }),
    )
  }

  /** Tread: whole stat records. `offset` is 0 or where the last read ended: read(5). */
  read(offset: number, count: number, dialect: Dialect): Uint8Array | Promise<Uint8Array> {
    if (offset === 0) {
      this.#nextByte = 0
      this.#nextEntry = 0
    } else if (offset !== this.#nextByte)
      throw new NinepError("EINVAL", `A folder is read on at ${this.#nextByte}, not at ${offset}`)
    return andThen(this.#load(offset === 0), (entries) => this.#records(entries, count, dialect, []))
  }

  #load(isBeginning: boolean): readonly Entry[] | Promise<readonly Entry[]> {
    if (!isBeginning && this.#entries !== undefined) return this.#entries
    return andThen(this.#handle.list?.() ?? [], (entries) => (this.#entries = entries))
  }

  #records(
    entries: readonly Entry[],
    room: number,
    dialect: Dialect,
    records: Uint8Array[],
  ): Uint8Array | Promise<Uint8Array> {
    let left = room
    while (this.#nextEntry < entries.length) {
      const { name, node } = entries[this.#nextEntry] as Entry
      let record: Uint8Array | undefined | Promise<Uint8Array | undefined>
      try {
        record = andThen(node.attributes(), (attributes) => encodeStat(statOf({ ...attributes, name }), dialect))
      } catch (error) {
        record = skipped(error)
      }
      if (record instanceof Promise) {
        const before = left
        return record.catch(skipped).then((bytes) => {
          const fits = this.#take(bytes, before, records)
          return fits ? this.#records(entries, before - (bytes?.length ?? 0), dialect, records) : concat(records)
        })
      }
      if (!this.#take(record, left, records)) break
      left -= record?.length ?? 0
    }
    return concat(records)
  }

  /** False: the record does not fit, and the next read begins with it. */
  #take(record: Uint8Array | undefined, left: number, records: Uint8Array[]): boolean {
    if (record !== undefined) {
      if (record.length > left && records.length === 0)
        throw new NinepError("EINVAL", `A stat record of ${record.length} bytes does not fit into ${left}`)
      if (record.length > left) return false
      records.push(record)
      this.#nextByte += record.length
    }
    this.#nextEntry++
    return true
  }
}

/** A file that was removed since it was listed is not told of. */
function skipped(error: unknown): undefined {
  if (error instanceof NinepError) return undefined
  throw error
}
