/**
 * What is shared, as its receivers see it: entries in the order of their bytes, and the pieces that those bytes are cut
 * into. It travels sealed as the first chunks of its own table, so that the relay knows no names and no sizes of files.
 */

export interface Manifest {
  /** What a receiver calls it when told nothing else: a file's or a folder's name. One path segment. */
  readonly name: string
  /**
   * A file alone has one entry, whose path is empty; else they lie below the folder `name`, which may have the first entry, with an
   * empty path. In the order of `sortEntries`: what is in a folder follows it at once. A folder that says nothing of itself
   * needs no entry.
   */
  readonly entries: readonly Entry[]
  /** Cuts the contents of all files, one behind the other in the order of the entries, into pieces. */
  readonly pieces: readonly Piece[]
}

export type Entry = FileEntry | FolderEntry | SymlinkEntry

export interface FileEntry {
  readonly type: "file"
  /** Segments with `/` between them, none of them empty, `.` or `..`; bytes that are no UTF-8 are kept as U+DC80-U+DCFF. */
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Permission bits, 0-0o777; undefined where the sender has none (a page, standard input). */
  readonly mode?: number
  /** Whole ms since 1970 UTC. */
  readonly mtimeMs?: number
}

export interface FolderEntry {
  readonly type: "folder"
  readonly path: string
  readonly mode?: number
  readonly mtimeMs?: number
}

export interface SymlinkEntry {
  readonly type: "symlink"
  readonly path: string
  /** Relative, and it stays within what is shared: `normalTarget`. */
  readonly target: string
}

export interface Piece {
  /** Index in the chunk table; `zeros`: bytes that are all 0 have no chunk. */
  readonly chunk: number | "zeros"
  /** Bytes; at most `largestChunk`, any number of zeros. */
  readonly length: number
  /** `ChunkCrypto.identify` of the bytes; empty for zeros. */
  readonly identity: Uint8Array
}
