/**
 * Many files as one archive (ZIP, APPNOTE 6.3.10, stored without compression), put together out of slices: a browser
 * saves it without holding it in memory. Sizes and counts beyond 32 and 16 bits take the ZIP64 forms.
 */

import { utf8Encode } from "../../base/text.ts"
import { crc32 } from "../../wire/crc32.ts"

export interface ZipEntry {
  /** Segments with `/` between them; a folder's ends with one. */
  readonly path: string
  readonly content: Blob
  readonly mtimeMs: number | undefined
}

/** Reads every content once, for its check sum; `onProgress` hears of the bytes. */
export async function zip(entries: readonly ZipEntry[], onProgress?: (bytes: number) => void): Promise<Blob> {
  const parts: (Uint8Array<ArrayBuffer> | Blob)[] = []
  const directory: Uint8Array<ArrayBuffer>[] = []
  let at = 0
  let seen = 0
  for (const { path, content, mtimeMs } of entries) {
    const crc = await checksumOf(content, (bytes) => onProgress?.((seen += bytes)))
    const name = utf8Encode(path)
    const facts: Facts = { name, crc, size: content.size, time: dosTime(mtimeMs), isFolder: path.endsWith("/") }
    const head = localHead(facts)
    parts.push(head, content)
    directory.push(directoryEntry(facts, at))
    at += head.length + content.size
  }
  const directoryBytes = directory.reduce((sum, entry) => sum + entry.length, 0)
  parts.push(...directory, directoryEnd(entries.length, at, directoryBytes))
  return new Blob(parts, { type: "application/zip" })
}

interface Facts {
  readonly name: Uint8Array
  readonly crc: number
  readonly size: number
  readonly time: number
  readonly isFolder: boolean
}

async function checksumOf(content: Blob, onBytes: (bytes: number) => void): Promise<number> {
  let crc = 0
  for (let at = 0; at < content.size; at += sliceBytes) {
    const bytes = new Uint8Array(await content.slice(at, at + sliceBytes).arrayBuffer())
    crc = crc32(bytes, crc)
    onBytes(bytes.length)
  }
  return crc
}

function localHead({ name, crc, size, time }: Facts): Uint8Array<ArrayBuffer> {
  const long = size >= most32
  const fields = new Fields(30 + name.length + (long ? 20 : 0))
  fields
    .u32(0x04034b50)
    .u16(long ? 45 : 20)
    .u16(utf8Names)
    .u16(0)
    .u32(time)
    .u32(crc)
  fields
    .u32(long ? most32 : size)
    .u32(long ? most32 : size)
    .u16(name.length)
    .u16(long ? 20 : 0)
    .bytes(name)
  if (long) fields.u16(1).u16(16).u64(size).u64(size)
  return fields.done
}

function directoryEntry({ name, crc, size, time, isFolder }: Facts, at: number): Uint8Array<ArrayBuffer> {
  const long = size >= most32
  const far = at >= most32
  const extra = (long ? 16 : 0) + (far ? 8 : 0)
  const fields = new Fields(46 + name.length + (extra === 0 ? 0 : 4 + extra))
  // Made on Unix (3): the upper half of the external attributes are mode bits.
  fields
    .u32(0x02014b50)
    .u16((3 << 8) | 45)
    .u16(long || far ? 45 : 20)
    .u16(utf8Names)
    .u16(0)
    .u32(time)
    .u32(crc)
  fields
    .u32(long ? most32 : size)
    .u32(long ? most32 : size)
    .u16(name.length)
    .u16(extra === 0 ? 0 : 4 + extra)
  fields
    .u16(0)
    .u16(0)
    .u16(0)
    .u32((isFolder ? 0o040755 : 0o100644) * 65536 + (isFolder ? 16 : 0))
  fields.u32(far ? most32 : at).bytes(name)
  if (extra > 0) {
    fields.u16(1).u16(extra)
    if (long) fields.u64(size).u64(size)
    if (far) fields.u64(at)
  }
  return fields.done
}

function directoryEnd(count: number, at: number, bytes: number): Uint8Array<ArrayBuffer> {
  const long = count >= most16 || at >= most32 || bytes >= most32
  const fields = new Fields(22 + (long ? 76 : 0))
  if (long) {
    fields.u32(0x06064b50).u64(44).u16(45).u16(45).u32(0).u32(0).u64(count).u64(count).u64(bytes).u64(at)
    fields
      .u32(0x07064b50)
      .u32(0)
      .u64(at + bytes)
      .u32(1)
  }
  fields.u32(0x06054b50).u16(0).u16(0).u16(Math.min(count, most16)).u16(Math.min(count, most16))
  fields.u32(Math.min(bytes, most32)).u32(Math.min(at, most32)).u16(0)
  return fields.done
}

/** Little-endian, one behind the other. */
class Fields {
  readonly done: Uint8Array<ArrayBuffer>
  readonly #view: DataView
  #at = 0

  constructor(length: number) {
    this.done = new Uint8Array(length)
    this.#view = new DataView(this.done.buffer)
  }

  u16(value: number): this {
    this.#view.setUint16(this.#at, value, true)
    this.#at += 2
    return this
  }

  u32(value: number): this {
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
    return this
  }

  u64(value: number): this {
    this.#view.setBigUint64(this.#at, BigInt(value), true)
    this.#at += 8
    return this
  }

  bytes(value: Uint8Array): this {
    this.done.set(value, this.#at)
    this.#at += value.length
    return this
  }
}

/** Date and time in local terms, in steps of two seconds; what is before 1980 or after 2107 is put at the edge. */
function dosTime(ms: number | undefined): number {
  const time = new Date(ms ?? 0)
  const year = time.getFullYear()
  if (ms === undefined || year < 1980) return (1 << 21) | (1 << 16)
  if (year > 2107) return ((127 << 25) | (12 << 21) | (31 << 16)) >>> 0
  const date = ((year - 1980) << 9) | ((time.getMonth() + 1) << 5) | time.getDate()
  return ((date << 16) | (time.getHours() << 11) | (time.getMinutes() << 5) | (time.getSeconds() >> 1)) >>> 0
}

/** Names are UTF-8 (bit 11). */
const utf8Names = 0x0800
const most16 = 0xffff
const most32 = 0xffffffff
const sliceBytes = 1024 * 1024
