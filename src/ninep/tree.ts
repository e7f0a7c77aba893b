/**
 * The seam between the 9P server and what it serves. A tree has nodes (files and folders), an open node is a handle. Calls
 * that may block, reading and writing, come as requests that are answered later; the hot path pays for no promise. All
 * other calls may answer at once or by a promise. Whatever is thrown or rejected is answered as an error.
 */

import type { NinepError } from "./errno.ts"

/** `type` bits of a qid: intro(5). */
export const qidType = {
  file: 0x00,
  symlink: 0x02,
  temporary: 0x04,
  exclusive: 0x20,
  append: 0x40,
  folder: 0x80,
} as const

/** The server's name of a file: intro(5). Two nodes are the same file exactly when `path` is equal. */
export interface Qid {
  readonly type: number
  /** 0 tells Linux 6.4 and later not to cache the file. */
  readonly version: number
  readonly path: number
}

/** What stat(5) and Tgetattr tell. Times are seconds since 1970. */
export interface Attributes {
  readonly qid: Qid
  /** The last element of its path; `/` for the root. */
  readonly name: string
  /** Permission bits 0o777 alone: the kind of file is the qid's. */
  readonly permissions: number
  readonly length: number
  readonly accessed: number
  readonly modified: number
  /** Names for 9P2000, numbers for .u and .L. */
  readonly user: string
  readonly group: string
  readonly uid: number
  readonly gid: number
}

/** What Twstat and Tsetattr ask to change; absent stays. */
export interface AttributeChanges {
  readonly permissions?: number
  readonly length?: number
  readonly accessed?: number
  readonly modified?: number
  readonly uid?: number
  readonly gid?: number
  /** A new name in the same folder. */
  readonly name?: string
}

/** Who is at the other end, for one attach. The client's kernel asserts it; only `peer` is proved. */
export interface AttachedUser {
  readonly name: string
  /** Undefined for 9P2000, which has names only, and when the client gave none. */
  readonly uid: number | undefined
}

export interface AttachRequest {
  readonly user: AttachedUser
  /** The attach name: which tree, and here also who may. */
  readonly aname: string
}

export interface Tree {
  /** The root for this user. Throws `EACCES`, `ENOENT` … */
  attach(request: AttachRequest): Node | Promise<Node>
  /** What Tstatfs tells; undefined answers a plausible one. */
  readonly blockSize?: number
}

export interface OpenMode {
  readonly read: boolean
  readonly write: boolean
  readonly truncate: boolean
  readonly append: boolean
}

/** A file or folder. Nodes of one path need not be the same object. */
export interface Node {
  readonly qid: Qid
  attributes(): Attributes | Promise<Attributes>
  /** The node of that name in this folder; `..` never comes here. Undefined: there is none. */
  walk(name: string): Node | undefined | Promise<Node | undefined>
  /** The folder above; the root's is itself. */
  parent(): Node | Promise<Node>
  open(mode: OpenMode): Handle | Promise<Handle>
  /** Makes a file in this folder and opens it. `EEXIST` when the name is taken. */
  create(name: string, permissions: number, mode: OpenMode): Created | Promise<Created>
  makeFolder(name: string, permissions: number): Node | Promise<Node>
  /** Removes this node; `folder` tells what Tunlinkat expects it to be, when it says so. */
  remove(folder?: boolean): void | Promise<void>
  change(changes: AttributeChanges): void | Promise<void>
}

export interface Created {
  readonly node: Node
  readonly handle: Handle
}

/** One entry of a folder that is listed. */
export interface Entry {
  readonly name: string
  readonly node: Node
}

/** An open node: the state that one fid has. */
export interface Handle {
  /**
   * The most bytes that one Tread or Twrite should ask for; 0: what the message size allows. Linux splits writes by it.
   */
  readonly ioUnit?: number
  /** All entries, for folders; the server keeps what it needs for the offsets. */
  list?(): readonly Entry[] | Promise<readonly Entry[]>
  /** May be answered at once or any time later. */
  read(request: ReadRequest): void
  write(request: WriteRequest): void
  /** Tfsync. */
  sync?(): void | Promise<void>
  /**
   * The fid goes. `gone` tells that its connection is lost, so that nobody asked for this and nobody hears an answer;
   * otherwise Rclunk waits for the promise. Requests that are still open were withdrawn before by their `onFlush`.
   */
  close(gone: boolean): void | Promise<void>
}

/** What read and write requests have in common. Exactly one of `answer` and `fail` is called, once. */
export interface BlockingRequest {
  /** As the client sent it. */
  readonly offset: number
  fail(error: NinepError): void
  /**
   * Set by whoever keeps the request. It is called when the client flushes it (flush(5)) or its connection is lost: whoever
   * keeps the request either forgets it, and must not answer afterwards, or answers it within the call because what it
   * asks for has happened already. Rflush follows the call, or the promise that it returns.
   */
  onFlush: (() => void | Promise<void>) | undefined
}

export interface ReadRequest extends BlockingRequest {
  /** The most bytes wanted; never more than fits into one message. */
  readonly count: number
  /** True when `count` is the most that this connection's message size allows: the client's own buffer may be larger. */
  readonly full: boolean
  /** Answers with at most `count` bytes; they are copied or sent before the call returns. None is the end of the file. */
  answer(bytes: Uint8Array): void
}

export interface WriteRequest extends BlockingRequest {
  /** Valid until the call of `write` returns; copy what must live longer. */
  readonly bytes: Uint8Array
  /** The server answers the count of `bytes`: a short count makes Linux send the rest as another write. */
  answer(): void
}
