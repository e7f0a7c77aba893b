/** The stat record of 9P2000 and 9P2000.u: stat(5). It stands in Rstat and Twstat, and one after the other in folders. */

import { ByteReader } from "./byte-reader.ts"
import { ByteWriter, textBytes } from "./byte-writer.ts"
import { NinepError } from "./errno.ts"
import type { Dialect, Stat } from "./message.ts"
import { NinepProtocolError } from "./protocol-error.ts"

/** `size[2] type[2] dev[4] qid[13] mode[4] atime[4] mtime[4] length[8]`. */
const fixedBytes = 41

/** Bytes of the record, its own size[2] included. */
export function statBytes(stat: Stat, dialect: Dialect): number {
  // The name of a root is "/".
  let bytes = fixedBytes + textBytes(stat.name, false)
  bytes += textBytes(stat.uid, false) + textBytes(stat.gid, false) + textBytes(stat.muid, false)
  if (dialect === "9P2000.u") bytes += textBytes(stat.extension ?? "", false) + 12
  if (bytes > 0xffff) throw new NinepError("ENAMETOOLONG", "A 9P stat record is longer than 65535 bytes")
  return bytes
}

export function writeStat(writer: ByteWriter, stat: Stat, dialect: Dialect): void {
  const start = writer.at
  writer.at += 2
  writer.u16(stat.type)
  writer.u32(stat.dev)
  writer.qid(stat.qid)
  writer.u32(stat.mode)
  writer.u32(stat.atime)
  writer.u32(stat.mtime)
  writer.u64(stat.length)
  writer.text(stat.name)
  writer.text(stat.uid)
  writer.text(stat.gid)
  writer.text(stat.muid)
  if (dialect === "9P2000.u") {
    writer.text(stat.extension ?? "")
    writer.u32(stat.nUid ?? 0xffff_ffff)
    writer.u32(stat.nGid ?? 0xffff_ffff)
    writer.u32(stat.nMuid ?? 0xffff_ffff)
  }
  const end = writer.at
  writer.at = start
  writer.u16(end - start - 2)
  writer.at = end
}

/** One record as the contents of a folder have it. */
export function encodeStat(stat: Stat, dialect: Dialect): Uint8Array {
  const bytes = new Uint8Array(statBytes(stat, dialect))
  writeStat(new ByteWriter(bytes), stat, dialect)
  return bytes
}

/** Reads one record; its own size must be exact. */
export function readStat(reader: ByteReader, dialect: Dialect): Stat {
  const size = reader.u16()
  if (size > reader.left) throw new NinepProtocolError("broken", "A stat record ends behind its message")
  const outer = reader.end
  reader.end = reader.at + size
  const stat: Stat = {
    type: reader.u16(),
    dev: reader.u32(),
    qid: reader.qid(),
    mode: reader.u32(),
    atime: reader.u32(),
    mtime: reader.u32(),
    length: reader.u64(),
    name: reader.text(false),
    uid: reader.text(false),
    gid: reader.text(false),
    muid: reader.text(false),
    ...(dialect === "9P2000.u"
      ? { extension: reader.text(false), nUid: reader.u32(), nGid: reader.u32(), nMuid: reader.u32() }
      : {}),
  }
  if (reader.left !== 0) throw new NinepProtocolError("broken", "A stat record has bytes behind its last field")
  reader.end = outer
  return stat
}

/** The records that a Tread of a folder has brought: whole ones, as read(5) promises. */
export function decodeStats(bytes: Uint8Array, dialect: Dialect): Stat[] {
  const reader = new ByteReader(bytes)
  const stats: Stat[] = []
  while (reader.left > 0) stats.push(readStat(reader, dialect))
  return stats
}
