/**
 * Messages to bytes and back, for all three dialects. Decoding is total: whatever the bytes are, the result is a message or
 * a `NinepProtocolError`. The hot path, reading and writing, has heads of its own in `data-heads.ts`.
 */

import { ByteReader } from "./byte-reader.ts"
import { ByteWriter, textBytes } from "./byte-writer.ts"
import { NinepError } from "./errno.ts"
import { layouts, type Field, type Kind } from "./layout.ts"
import { headerBytes, messageType, mostWalkElements } from "./message.ts"
import type { Answer, Dialect, FolderEntry, Message, MessageName, Request, Stat, U64, WireQid } from "./message.ts"
import { NinepProtocolError } from "./protocol-error.ts"
import { readStat, statBytes, writeStat } from "./stat-record.ts"

/** Who sent it: `T` a client, `R` a server. */
export type Direction = "T" | "R"

/**
 * Reads one whole message, its size[4] included. Data, of Twrite and Rread, is a view into `bytes`. Throws
 * `NinepProtocolError`; when its flaw is `text` or `unknown`, the header with the tag is sound.
 */
export function decode(bytes: Uint8Array, dialect: Dialect, direction: "T"): Request
export function decode(bytes: Uint8Array, dialect: Dialect, direction: "R"): Answer
export function decode(bytes: Uint8Array, dialect: Dialect, direction: Direction): Message {
  const reader = new ByteReader(bytes)
  const size = reader.u32()
  if (size !== bytes.length || size < headerBytes)
    throw new NinepProtocolError("broken", `A message says ${size} bytes and has ${bytes.length}`)
  const number = reader.u8()
  const tag = reader.u16()
  const name = names[number]
  const layout = name?.startsWith(direction) ? layouts[dialect][name] : undefined
  if (name === undefined || layout === undefined)
    throw new NinepProtocolError("unknown", `${dialect} has no ${direction} message of type ${number}`)
  const message: Record<string, unknown> = { type: name, tag }
  for (const [key, kind] of layout) {
    if (kind === "later" && reader.left === 0) continue
    message[key] = read(reader, kind, dialect)
  }
  if (reader.left !== 0)
    throw new NinepProtocolError("broken", `${name} has ${reader.left} bytes behind its last field`)
  return message as unknown as Message
}

/**
 * Throws `NinepError`: `EINVAL` and `ENAMETOOLONG` for texts that 9P cannot carry, `EOPNOTSUPP` for a message that the
 * dialect does not have.
 */
export function encode(message: Message, dialect: Dialect): Uint8Array {
  const bytes = new Uint8Array(messageBytes(message, dialect))
  encodeInto(message, dialect, bytes, 0)
  return bytes
}

/** The message's whole size, as `encode` will write it. Throws as `encode`. */
export function messageBytes(message: Message, dialect: Dialect): number {
  const fields = message as unknown as Fields
  let size = headerBytes
  for (const [key, kind] of layoutOf(message, dialect)) size += measure(fields[key], kind, dialect)
  return size
}

/** Writes the message at `at`, where `messageBytes` of room must be. Returns where it ends. */
export function encodeInto(message: Message, dialect: Dialect, bytes: Uint8Array, at: number): number {
  const fields = message as unknown as Fields
  const writer = new ByteWriter(bytes, at + 4)
  writer.u8(messageType[message.type])
  writer.u16(message.tag)
  for (const [key, kind] of layoutOf(message, dialect)) write(writer, fields[key], kind, dialect)
  const end = writer.at
  writer.at = at
  writer.u32(end - at)
  return end
}

/** The name of a type's number, for logs. */
export function nameOfType(number: number): MessageName | undefined {
  return names[number]
}

type Fields = { readonly [key: string]: unknown }

const names: readonly (MessageName | undefined)[] = Array.from({ length: 256 }, (_none, number) =>
  (Object.keys(messageType) as MessageName[]).find((name) => messageType[name] === number),
)

function layoutOf(message: Message, dialect: Dialect): readonly Field[] {
  const layout = layouts[dialect][message.type]
  if (layout === undefined) throw new NinepError("EOPNOTSUPP", `${dialect} has no ${message.type}`)
  return layout
}

function read(reader: ByteReader, kind: Kind, dialect: Dialect): unknown {
  switch (kind) {
    case "u8":
      return reader.u8()
    case "u16":
      return reader.u16()
    case "u32":
    case "later":
      return reader.u32()
    case "u64":
      return reader.u64()
    case "text":
      return reader.text(false)
    case "name":
      return reader.text(true)
    case "qid":
      return reader.qid()
    case "names":
      return Array.from({ length: elements(reader) }, () => reader.text(true))
    case "qids":
      return Array.from({ length: elements(reader) }, () => reader.qid())
    case "data":
      return reader.view(reader.u32())
    case "stat":
      return readFramedStat(reader, dialect)
    case "entries":
      return readEntries(reader)
  }
}

function elements(reader: ByteReader): number {
  const count = reader.u16()
  if (count > mostWalkElements) throw new NinepProtocolError("broken", `A walk has ${count} elements`)
  return count
}

/** Rstat and Twstat have the record's size twice: stat(5), BUGS. */
function readFramedStat(reader: ByteReader, dialect: Dialect): Stat {
  const size = reader.u16()
  const start = reader.at
  const stat = readStat(reader, dialect)
  if (reader.at - start !== size) throw new NinepProtocolError("broken", "The two sizes of a stat record differ")
  return stat
}

function readEntries(reader: ByteReader): FolderEntry[] {
  const inner = new ByteReader(reader.view(reader.u32()))
  const entries: FolderEntry[] = []
  while (inner.left > 0)
    entries.push({ qid: inner.qid(), offset: inner.u64(), type: inner.u8(), name: inner.text(true) })
  return entries
}

function measure(value: unknown, kind: Kind, dialect: Dialect): number {
  switch (kind) {
    case "u8":
      return 1
    case "u16":
      return 2
    case "u32":
      return 4
    case "u64":
      return 8
    case "later":
      return value === undefined ? 0 : 4
    case "text":
    case "name":
      return textBytes((value as string | undefined) ?? "", kind === "name")
    case "qid":
      return 13
    case "names":
      return (value as readonly string[]).reduce((sum, name) => sum + textBytes(name, true), 2)
    case "qids":
      return 2 + 13 * (value as readonly WireQid[]).length
    case "data":
      return 4 + (value as Uint8Array).length
    case "stat":
      return 2 + statBytes(value as Stat, dialect)
    case "entries":
      return (value as readonly FolderEntry[]).reduce((sum, entry) => sum + entryBytes(entry), 4)
  }
}

/** What the entry takes of the count of a Treaddir. */
export function entryBytes(entry: FolderEntry): number {
  return 22 + textBytes(entry.name, true)
}

function write(writer: ByteWriter, value: unknown, kind: Kind, dialect: Dialect): void {
  switch (kind) {
    case "u8":
      return writer.u8(value as number)
    case "u16":
      return writer.u16(value as number)
    case "u32":
      // Of what only some dialects have, the n_uname may be missing: NONUNAME.
      return writer.u32((value as number | undefined) ?? 0xffff_ffff)
    case "u64":
      return writer.u64(value as U64)
    case "later":
      if (value !== undefined) writer.u32(value as number)
      return
    case "text":
    case "name":
      return writer.text((value as string | undefined) ?? "")
    case "qid":
      return writer.qid(value as WireQid)
    case "names": {
      const elements = value as readonly string[]
      writer.u16(elements.length)
      for (const name of elements) writer.text(name)
      return
    }
    case "qids": {
      const qids = value as readonly WireQid[]
      writer.u16(qids.length)
      for (const qid of qids) writer.qid(qid)
      return
    }
    case "data":
      writer.u32((value as Uint8Array).length)
      return writer.data(value as Uint8Array)
    case "stat":
      writer.u16(statBytes(value as Stat, dialect))
      return writeStat(writer, value as Stat, dialect)
    case "entries":
      return writeEntries(writer, value as readonly FolderEntry[])
  }
}

function writeEntries(writer: ByteWriter, entries: readonly FolderEntry[]): void {
  const start = writer.at
  writer.at += 4
  for (const entry of entries) {
    writer.qid(entry.qid)
    writer.u64(entry.offset)
    writer.u8(entry.type)
    writer.text(entry.name)
  }
  const end = writer.at
  writer.at = start
  writer.u32(end - start - 4)
  writer.at = end
}
