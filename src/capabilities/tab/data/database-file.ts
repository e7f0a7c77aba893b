/** The database as a file that users keep: what it must look like (https://sqlite.org/fileformat.html#the_database_header). */

import { RdvError } from "../../../base/error.ts"

const magic = "SQLite format 3\0"
/** Version numbers for writing and reading: 1 without, 2 with a write-ahead log. */
const versionsAt = 18

/**
 * A copy that can be opened by itself anywhere, also without a log. Throws `corrupt` when it is no database, or only a
 * part of one.
 */
export function plainDatabase(file: Uint8Array): Uint8Array<ArrayBuffer> {
  for (let at = 0; at < magic.length; at++) {
    if (file[at] !== magic.charCodeAt(at)) throw new RdvError("corrupt", "This file is not an SQLite database")
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const pageBytes = file.length < 100 ? 0 : view.getUint16(16) === 1 ? 65_536 : view.getUint16(16)
  const pages = file.length < 100 ? 0 : view.getUint32(28)
  if (pageBytes < 512 || pages * pageBytes > file.length || file.length % pageBytes !== 0) {
    throw new RdvError("corrupt", "This database file is not whole")
  }
  const copy = new Uint8Array(file)
  copy.fill(1, versionsAt, versionsAt + 2)
  return copy
}
