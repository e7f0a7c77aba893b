/** A node of the tree that others are bound into: the same node, but that some names lead elsewhere. */

import { andThen } from "../../../ninep/awaited.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type {
  AttributeChanges,
  Attributes,
  Created,
  Entry,
  Handle,
  Node,
  OpenMode,
  Qid,
  ReadRequest,
  WriteRequest,
} from "../../../ninep/tree.ts"
import { virtualQid } from "./bound-qid.ts"

export interface BoundView {
  /** The root of what is bound exactly there. */
  bound(path: readonly string[], parent: Node): Node | undefined
  /** Names in that folder that are bound, or lead to what is. */
  below(path: readonly string[]): readonly string[]
}

export function keyOf(path: readonly string[]): string {
  return path.join("/")
}

export class BoundNode implements Node {
  readonly #view: BoundView
  readonly #inner: Node
  readonly #path: readonly string[]
  readonly #parent: Node | undefined

  /** Without a parent it is its own. */
  constructor(view: BoundView, inner: Node, path: readonly string[], parent: Node | undefined) {
    this.#view = view
    this.#inner = inner
    this.#path = path
    this.#parent = parent
  }

  get qid(): Qid {
    return this.#inner.qid
  }

  attributes(): Attributes | Promise<Attributes> {
    return this.#inner.attributes()
  }

  walk(name: string): Node | undefined | Promise<Node | undefined> {
    const path = [...this.#path, name]
    const bound = this.#view.bound(path, this)
    if (bound !== undefined) return bound
    return andThen(this.#inner.walk(name), (found) => {
      if (found !== undefined) return new BoundNode(this.#view, found, path, this)
      if (this.#view.below(path).length === 0) return undefined
      return new BoundNode(this.#view, new LeadingFolder(path), path, this)
    })
  }

  parent(): Node {
    return this.#parent ?? this
  }

  open(mode: OpenMode): Handle | Promise<Handle> {
    const names = this.#view.below(this.#path)
    if (names.length === 0) return this.#inner.open(mode)
    return andThen(this.#inner.open(mode), (handle) => new BoundListing(handle, () => this.#listed(names)))
  }

  create(name: string, permissions: number, mode: OpenMode): Created | Promise<Created> {
    this.#refuseTaken(name)
    return andThen(this.#inner.create(name, permissions, mode), ({ node, handle }) => ({
      node: new BoundNode(this.#view, node, [...this.#path, name], this),
      handle,
    }))
  }

  makeFolder(name: string, permissions: number): Node | Promise<Node> {
    this.#refuseTaken(name)
    return andThen(
      this.#inner.makeFolder(name, permissions),
      (node) => new BoundNode(this.#view, node, [...this.#path, name], this),
    )
  }

  remove(folder?: boolean): void | Promise<void> {
    this.#refuseLeading()
    return this.#inner.remove(folder)
  }

  change(changes: AttributeChanges): void | Promise<void> {
    if (changes.name !== undefined) this.#refuseLeading()
    return this.#inner.change(changes)
  }

  #listed(names: readonly string[]): Entry[] {
    return names.map((name) => {
      const path = [...this.#path, name]
      const node = this.#view.bound(path, this) ?? new BoundNode(this.#view, new LeadingFolder(path), path, this)
      return { name, node }
    })
  }

  #refuseTaken(name: string): void {
    if (this.#view.below(this.#path).includes(name))
      throw new NinepError("EEXIST", `Another server's tree is bound at or below ${name}`)
  }

  #refuseLeading(): void {
    if (this.#view.below(this.#path).length > 0)
      throw new NinepError("EBUSY", "Another server's tree is bound below this folder")
  }
}

/** A folder that is there because something is bound below it. */
class LeadingFolder implements Node {
  readonly qid: Qid
  readonly #path: readonly string[]

  constructor(path: readonly string[]) {
    this.#path = path
    this.qid = virtualQid(keyOf(path))
  }

  attributes(): Attributes {
    const time = 0
    return {
      qid: this.qid,
      name: this.#path.at(-1) ?? "/",
      permissions: 0o555,
      length: 0,
      accessed: time,
      modified: time,
      user: "root",
      group: "root",
      uid: 0,
      gid: 0,
    }
  }

  walk(): undefined {
    return undefined
  }

  /** Its wrapping knows. */
  parent(): Node {
    return this
  }

  open(): Handle {
    const refuse = (request: ReadRequest | WriteRequest) => request.fail(new NinepError("EISDIR"))
    return { list: () => [], read: refuse, write: refuse, close: () => undefined }
  }

  create(): never {
    throw new NinepError("EACCES", "This folder only leads to other servers' trees")
  }

  makeFolder(): never {
    throw new NinepError("EACCES", "This folder only leads to other servers' trees")
  }

  remove(): never {
    throw new NinepError("EBUSY")
  }

  change(): never {
    throw new NinepError("EACCES")
  }
}

/** An open folder that shows what is bound there too, in place of what it has of the same name. */
class BoundListing implements Handle {
  readonly #inner: Handle
  readonly #bound: () => readonly Entry[]

  constructor(inner: Handle, bound: () => readonly Entry[]) {
    this.#inner = inner
    this.#bound = bound
  }

  list(): readonly Entry[] | Promise<readonly Entry[]> {
    return andThen(this.#inner.list?.() ?? [], (own) => {
      const names = new Set(own.map(({ name }) => name))
      const bound = this.#bound()
      // A folder of our own that leads to a binding stays what it is; the binding itself hides what it has of that name.
      const isHidden = (name: string) =>
        bound.some((entry) => entry.name === name && !(entry.node instanceof BoundNode))
      const added = bound.filter(({ name, node }) => !names.has(name) || !(node instanceof BoundNode))
      return [...own.filter(({ name }) => !isHidden(name)), ...added]
    })
  }

  read(request: ReadRequest): void {
    this.#inner.read(request)
  }

  write(request: WriteRequest): void {
    this.#inner.write(request)
  }

  close(gone: boolean): void | Promise<void> {
    return this.#inner.close(gone)
  }
}
