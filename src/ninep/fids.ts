/** A connection's fids: the client's numbers for nodes and, once they are opened, for handles. */

import type { Call, QueuedCall } from "./served-calls.ts"
import { NinepError } from "./errno.ts"
import { KeyTable } from "./key-table.ts"
import type { Listing } from "./listing.ts"
import { IOHDRSZ } from "./message.ts"
import { qidType } from "./tree.ts"
import type { Handle, Node, OpenMode } from "./tree.ts"

export class Fid {
  readonly number: number
  /** Undefined while the walk or attach that makes it is under way. */
  node: Node | undefined
  handle: Handle | undefined
  isReadable = false
  isWritable = false
  /** The least count of a Tread that asks for as much as it can. */
  fullCount = 0
  /** What a folder's reading has come to. */
  listing: Listing | undefined
  /** Reads and writes without an answer. */
  blocked = 0
  /** What is being done to the fid itself; what comes meanwhile is kept in order. */
  busy: Call | undefined
  readonly queue: QueuedCall[] = []

  constructor(number: number, node: Node | undefined) {
    this.number = number
    this.node = node
  }

  get isFolder(): boolean {
    return this.node !== undefined && isFolder(this.node)
  }

  open(handle: Handle, mode: OpenMode, messageBytes: number): void {
    this.handle = handle
    this.isReadable = mode.read
    this.isWritable = mode.write
    const most = messageBytes - IOHDRSZ
    this.fullCount = handle.ioUnit === undefined || handle.ioUnit === 0 ? most : Math.min(most, handle.ioUnit)
  }
}

export class Fids {
  readonly #table = new KeyTable<Fid>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#table.size
  }

  get(number: number): Fid | undefined {
    return this.#table.get(number)
  }

  /** The node behind a number. Throws `EBADF`. */
  node(number: number): Node {
    return nodeOf(this.known(number))
  }

  known(number: number): Fid {
    const fid = this.#table.get(number)
    if (fid === undefined) throw new NinepError("EBADF", `There is no fid ${number}`)
    return fid
  }

  /** Throws `EBADF` when the number cannot be given to a new fid, `EMFILE` when there is no room. */
  expectFree(number: number): void {
    if (this.#table.get(number) !== undefined) throw new NinepError("EBADF", `The fid ${number} is in use`)
    if (number === 0xffff_ffff) throw new NinepError("EBADF", "NOFID cannot be used")
    if (this.#table.size >= this.#most) throw new NinepError("EMFILE", `More than ${this.#most} fids`)
  }

  /** The number must be free. */
  add(number: number, node: Node | undefined): Fid {
    const fid = new Fid(number, node)
    this.#table.add(number, fid)
    return fid
  }

  delete(fid: Fid): void {
    this.#table.delete(fid.number)
  }

  /** Empties the table and returns what was in it. */
  takeAll(): Fid[] {
    const fids = this.#table.values()
    this.#table.clear()
    return fids
  }
}

export function nodeOf(fid: Fid): Node {
  if (fid.node === undefined) throw new NinepError("EBADF", `The fid ${fid.number} is not there yet`)
  return fid.node
}

export function isFolder(node: Node): boolean {
  return (node.qid.type & qidType.folder) !== 0
}
