/**
 * Remembers beside a part which of its chunks are written, for the next run. The file has two slots, written in turns, and never
 * grows: a crash while one is written leaves the other, and a full disk has room for it. A slot is written behind the chunks that it names.
 *
 * Slot: magic 8 | CRC-32 of what follows u32 | sequence u32 | mtime f64 | chunks u32 | root 32 | name of the boot 40 | bitmap.
 */

import * as fs from "node:fs"
import { uptime } from "node:os"
import { crc32 } from "node:zlib"
import { Bitmap } from "../content/bitmap.ts"
import { diskError, isMissing } from "./disk-error.ts"
import type { DiskPath } from "./disk-path.ts"
import { isOurs } from "./is-ours.ts"

export interface JournalFacts {
  /** Counts what was written. */
  readonly sequence: number
  readonly root: Uint8Array
  readonly have: Bitmap
  /** Of the file that was written last, ms. */
  readonly mtimeMs: number
  /** The machine has not been started anew since: what was written then is there. */
  readonly isSameBoot: boolean
}

const magic = Buffer.from("rdvpart1")
const headBytes = 100

export class Journal {
  readonly #path: DiskPath
  readonly #fd: number
  readonly #root: Uint8Array
  readonly #slot: Buffer
  readonly #boot: string = bootName()
  #sequence = 0

  private constructor(path: DiskPath, fd: number, root: Uint8Array, chunks: number) {
    this.#path = path
    this.#fd = fd
    this.#root = root
    this.#slot = Buffer.alloc(slotBytes(chunks))
  }

  /** Goes on with the one that was read, or starts one; then what was there is forgotten. */
  static open(path: DiskPath, root: Uint8Array, have: Bitmap, before?: JournalFacts): Journal {
    try {
      if (before !== undefined) {
        const journal = new Journal(
          path,
          fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NOFOLLOW),
          root,
          have.length,
        )
        journal.#sequence = before.sequence
        return journal
      }
      fs.rmSync(path, { force: true })
      const fd = fs.openSync(path, "wx+", 0o600)
      const journal = new Journal(path, fd, root, have.length)
      // Both slots, so that the file has all the room that it will need.
      journal.write(have, 0)
      journal.write(have, 0)
      return journal
    } catch (error) {
      throw diskError(error, path)
    }
  }

  /** What the last run left; undefined when there is nothing, or nothing that can be read. */
  static read(path: DiskPath, chunks: number): JournalFacts | undefined {
    let bytes: Buffer
    try {
      const stat = fs.lstatSync(path)
      if (!stat.isFile() || stat.size !== 2 * slotBytes(chunks) || !isOurs(stat)) return undefined
      bytes = fs.readFileSync(path)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw diskError(error, path)
    }
    const slots = [
      readSlot(bytes.subarray(0, bytes.length / 2), chunks),
      readSlot(bytes.subarray(bytes.length / 2), chunks),
    ]
    const [a, b] = slots
    return a !== undefined && (b === undefined || a.sequence > b.sequence) ? a : b
  }

  /** `mtimeMs`: of the file that was written last. */
  write(have: Bitmap, mtimeMs: number): void {
    const slot = this.#slot
    const sequence = ++this.#sequence
    slot.set(magic)
    slot.writeUInt32BE(sequence, 12)
    slot.writeDoubleBE(mtimeMs, 16)
    slot.writeUInt32BE(have.length, 24)
    slot.set(this.#root, 28)
    slot.fill(0, 60, headBytes)
    slot.write(this.#boot, 60, 40, "latin1")
    slot.set(have.bytes(), headBytes)
    slot.writeUInt32BE(crc32(slot.subarray(12)), 8)
    try {
      fs.writeSync(this.#fd, slot, 0, slot.length, (sequence & 1) * slot.length)
    } catch (error) {
      throw diskError(error, this.#path)
    }
  }

  close(): void {
    fs.closeSync(this.#fd)
  }
}

function readSlot(slot: Buffer, chunks: number): JournalFacts | undefined {
  if (!slot.subarray(0, 8).equals(magic) || slot.readUInt32BE(8) !== crc32(slot.subarray(12))) return undefined
  if (slot.readUInt32BE(24) !== chunks) return undefined
  try {
    return {
      sequence: slot.readUInt32BE(12),
      mtimeMs: slot.readDoubleBE(16),
      root: new Uint8Array(slot.subarray(28, 60)),
      have: Bitmap.from(slot.subarray(headBytes, headBytes + ((chunks + 7) >> 3)), chunks),
      isSameBoot: slot.subarray(60, headBytes).toString("latin1").replaceAll("\0", "") === bootName(),
    }
  } catch {
    // A bitmap that is none: as good as no journal.
    return undefined
  }
}

function slotBytes(chunks: number): number {
  return Math.ceil((headBytes + ((chunks + 7) >> 3)) / 512) * 512
}

/** Changes when the machine starts anew. Where nothing tells it, it may change more often, which costs a second look at the chunks. */
function bootName(): string {
  try {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim().slice(0, 40)
  } catch {
    return `about-${Math.round((Date.now() / 1000 - uptime()) / 60)}`
  }
}
