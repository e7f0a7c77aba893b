/**
 * A 9P tree in memory, for tests of the server and of clients: files that behave as files do, folders, and pipes, whose
 * reads wait for a write and whose writes wait for a read. It counts its open handles and how they were closed.
 */

import { NinepError } from "../../src/ninep/errno.ts"
import { qidType } from "../../src/ninep/tree.ts"
import type {
  AttachRequest,
  AttributeChanges,
  Attributes,
  Created,
  Entry,
  Handle,
  Node,
  OpenMode,
  Qid,
  ReadRequest,
  Tree,
  WriteRequest,
} from "../../src/ninep/tree.ts"

const nothing = new Uint8Array(0)

export interface RamTreeOptions {
  /** Everything but reads and writes is answered by a promise that waits for this. */
  readonly pause?: () => Promise<void>
}

/** What happened to handles, over the life of the tree. */
export interface HandleCounts {
  opened: number
  closed: number
  gone: number
}

export class RamTree implements Tree {
  readonly counts: HandleCounts = { opened: 0, closed: 0, gone: 0 }
  readonly attached: AttachRequest[] = []
  readonly root: RamNode
  readonly pause: (() => Promise<void>) | undefined
  #lastPath = 0

  constructor(options: RamTreeOptions = {}) {
    this.pause = options.pause
    this.root = new RamNode(this, "/", "folder", 0o755, undefined)
  }

  nextPath(): number {
    return ++this.#lastPath
  }

  attach(request: AttachRequest): Node | Promise<Node> {
    if (request.aname === "forbidden") throw new NinepError("EACCES")
    this.attached.push(request)
    return this.later(() => this.root)
  }

  later<T>(run: () => T): T | Promise<T> {
    return this.pause === undefined ? run() : this.pause().then(run)
  }
}

/** `pipe`: see above. `broken`: everything throws what no handler should throw. */
export type RamKind = "file" | "folder" | "pipe" | "broken"

export class RamNode implements Node {
  readonly qid: Qid
  name: string
  content: Uint8Array = nothing
  readonly children: Map<string, RamNode> = new Map()
  readonly kind: RamKind
  readonly pipe: Pipe = new Pipe()
  permissions: number
  modified = 1_700_000_000.5
  isRemoved = false
  readonly changes: AttributeChanges[] = []
  syncs = 0
  readonly #tree: RamTree
  readonly #parent: RamNode | undefined

  constructor(tree: RamTree, name: string, kind: RamKind, permissions: number, parent: RamNode | undefined) {
    this.#tree = tree
    this.name = name
    this.kind = kind
    this.permissions = permissions
    this.#parent = parent
    this.qid = { type: kind === "folder" ? qidType.folder : qidType.file, version: 0, path: tree.nextPath() }
  }

  /** Makes a child, for the test's own use. */
  add(name: string, kind: RamKind = "file", content = ""): RamNode {
    const child = new RamNode(this.#tree, name, kind, kind === "folder" ? 0o755 : 0o644, this)
    child.content = new TextEncoder().encode(content)
    this.children.set(name, child)
    return child
  }

  attributes(): Attributes | Promise<Attributes> {
    if (this.kind === "broken") throw new TypeError("attributes are broken")
    return this.#tree.later(() => {
      if (this.isRemoved) throw new NinepError("ENOENT")
      return {
        qid: this.qid,
        name: this.name,
        permissions: this.permissions,
        length: this.content.length,
        accessed: this.modified,
        modified: this.modified,
        user: "ram",
        group: "ram",
        uid: 0,
        gid: 0,
      }
    })
  }

  walk(name: string): Node | undefined | Promise<Node | undefined> {
    return this.#tree.later(() => this.children.get(name))
  }

  parent(): Node | Promise<Node> {
    return this.#tree.later(() => this.#parent ?? this)
  }

  open(mode: OpenMode): Handle | Promise<Handle> {
    if (this.kind === "broken" && mode.write) throw new TypeError("open is broken")
    return this.#tree.later(() => this.#opened(mode))
  }

  create(name: string, permissions: number, mode: OpenMode): Created | Promise<Created> {
    return this.#tree.later(() => {
      const node = this.#fresh(name, "file", permissions)
      return { node, handle: node.#opened(mode) }
    })
  }

  makeFolder(name: string, permissions: number): Node | Promise<Node> {
    return this.#tree.later(() => this.#fresh(name, "folder", permissions))
  }

  remove(folder?: boolean): void | Promise<void> {
    return this.#tree.later(() => {
      if (this.#parent === undefined) throw new NinepError("EBUSY")
      if (folder === true && this.kind !== "folder") throw new NinepError("ENOTDIR")
      if (folder === false && this.kind === "folder") throw new NinepError("EISDIR")
      if (this.children.size > 0) throw new NinepError("ENOTEMPTY")
      this.isRemoved = true
      this.#parent.children.delete(this.name)
    })
  }

  change(changes: AttributeChanges): void | Promise<void> {
    return this.#tree.later(() => {
      this.changes.push(changes)
      if (changes.permissions !== undefined) this.permissions = changes.permissions
      if (changes.length !== undefined && this.kind === "file") this.truncate(changes.length)
      if (changes.name !== undefined && this.#parent !== undefined) {
        this.#parent.children.delete(this.name)
        this.name = changes.name
        this.#parent.children.set(changes.name, this)
      }
    })
  }

  truncate(length: number): void {
    const content = new Uint8Array(length)
    content.set(this.content.subarray(0, length))
    this.content = content
  }

  #fresh(name: string, kind: RamKind, permissions: number): RamNode {
    if (this.children.has(name)) throw new NinepError("EEXIST")
    const child = this.add(name, kind)
    child.permissions = permissions
    return child
  }

  #opened(mode: OpenMode): Handle {
    this.#tree.counts.opened++
    if (mode.truncate && this.kind === "file") this.content = nothing
    return new RamHandle(this, this.#tree, mode)
  }
}

class RamHandle implements Handle {
  readonly #node: RamNode
  readonly #tree: RamTree
  readonly #mode: OpenMode
  #isClosed = false

  constructor(node: RamNode, tree: RamTree, mode: OpenMode) {
    this.#node = node
    this.#tree = tree
    this.#mode = mode
  }

  list(): readonly Entry[] | Promise<readonly Entry[]> {
    return this.#tree.later(() => [...this.#node.children].map(([name, node]) => ({ name, node })))
  }

  read(request: ReadRequest): void {
    if (this.#isClosed) throw new Error("a read of a closed handle")
    if (this.#node.kind === "broken") throw new TypeError("read is broken")
    if (this.#node.kind === "pipe") this.#node.pipe.read(request)
    else request.answer(this.#node.content.subarray(request.offset, request.offset + request.count))
  }

  write(request: WriteRequest): void {
    if (this.#isClosed) throw new Error("a write to a closed handle")
    if (this.#node.kind === "pipe") {
      this.#node.pipe.write(request)
      return
    }
    const at = this.#mode.append ? this.#node.content.length : request.offset
    if (at + request.bytes.length > 1 << 24) throw new NinepError("ENOSPC")
    if (at + request.bytes.length > this.#node.content.length) this.#node.truncate(at + request.bytes.length)
    this.#node.content.set(request.bytes, at)
    request.answer()
  }

  sync(): void | Promise<void> {
    return this.#tree.later(() => void this.#node.syncs++)
  }

  close(gone: boolean): void | Promise<void> {
    if (this.#isClosed) throw new Error("a handle is closed twice")
    this.#isClosed = true
    if (gone) this.#tree.counts.gone++
    else this.#tree.counts.closed++
    if (!gone) return this.#tree.later(() => undefined)
  }
}

/** Hands each write to one read. */
export class Pipe {
  /** What `onFlush` of a waiting request returns, for tests of slow withdrawals. */
  withdrawal: (() => Promise<void>) | undefined
  readonly #reads: ReadRequest[] = []
  readonly #writes: { readonly request: WriteRequest; readonly bytes: Uint8Array }[] = []

  get waitingReads(): number {
    return this.#reads.length
  }

  get waitingWrites(): number {
    return this.#writes.length
  }

  read(request: ReadRequest): void {
    const write = this.#writes.shift()
    if (write === undefined) {
      this.#reads.push(request)
      request.onFlush = () => this.#withdraw(this.#reads, request)
      return
    }
    request.answer(write.bytes.subarray(0, request.count))
    write.request.answer()
  }

  write(request: WriteRequest): void {
    const read = this.#reads.shift()
    if (read === undefined) {
      const waiting = { request, bytes: request.bytes.slice() }
      this.#writes.push(waiting)
      request.onFlush = () => this.#withdraw(this.#writes, waiting)
      return
    }
    read.answer(request.bytes.subarray(0, read.count))
    request.answer()
  }

  #withdraw<T>(queue: T[], item: T): void | Promise<void> {
    const remove = () => {
      const at = queue.indexOf(item)
      if (at >= 0) queue.splice(at, 1)
    }
    if (this.withdrawal !== undefined) return this.withdrawal().then(remove)
    remove()
  }
}

/** What tests with foreign clients look at: `/hello`, `/empty`, `/long`, `/pipe`, `/many/` with 500 files, `/deep/er/est`. */
export function sampleTree(options: RamTreeOptions = {}): RamTree {
  const tree = new RamTree(options)
  tree.root.add("hello", "file", "hello, world\n")
  tree.root.add("empty")
  tree.root.add("long", "file", "0123456789abcde\n".repeat(20_000))
  tree.root.add("pipe", "pipe")
  const many = tree.root.add("many", "folder")
  for (let index = 0; index < 500; index++) many.add(`file-${String(index).padStart(3, "0")}`)
  tree.root.add("deep", "folder").add("er", "folder").add("est", "file", "bottom\n")
  return tree
}
