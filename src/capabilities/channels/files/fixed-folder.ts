/** Folders whose entries nobody can change: the role files of a channel, and `/select`. */

import { NinepError } from "../../../ninep/errno.ts"
import type { AttributeChanges, Attributes, Created, Entry, Handle, Node, OpenMode, Qid } from "../../../ninep/tree.ts"
import { ListHandle } from "./list-handle.ts"

export interface FixedEntries {
  readonly attributes: () => Attributes
  readonly parent: () => Node
  readonly list: (folder: Node) => Entry[]
  readonly walk: (name: string, folder: Node) => Node | undefined
}

export class FixedFolder implements Node {
  readonly qid: Qid
  readonly #entries: FixedEntries

  constructor(qid: Qid, entries: FixedEntries) {
    this.qid = qid
    this.#entries = entries
  }

  attributes(): Attributes {
    return this.#entries.attributes()
  }

  walk(name: string): Node | undefined {
    return this.#entries.walk(name, this)
  }

  parent(): Node {
    return this.#entries.parent()
  }

  open(mode: OpenMode): Handle {
    return new ListHandle(mode, () => this.#entries.list(this))
  }

  create(): Created {
    throw new NinepError("EPERM", "Nothing can be made in this folder")
  }

  makeFolder(): Node {
    throw new NinepError("EPERM", "Nothing can be made in this folder")
  }

  remove(): void {
    throw new NinepError("EPERM", "This folder goes with its channel")
  }

  change({ permissions, uid, gid, name }: AttributeChanges): void {
    if (permissions === undefined && uid === undefined && gid === undefined && name === undefined) return
    throw new NinepError("EPERM", "This folder belongs to its channel or to the server")
  }
}
