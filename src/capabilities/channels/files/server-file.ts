/** Files that belong to the server and not to a channel: `/ctl` and those of `/select`. */

import type { Attributes, Handle, Node, OpenMode, Qid } from "../../../ninep/tree.ts"
import { attributesOf, FileNode } from "./file-node.ts"
import type { View } from "./view.ts"

export class ServerFile extends FileNode {
  readonly qid: Qid
  readonly #view: View
  readonly #name: string
  readonly #parent: Node
  readonly #open: () => Handle

  constructor(view: View, qid: Qid, name: string, parent: Node, open: () => Handle) {
    super()
    this.qid = qid
    this.#view = view
    this.#name = name
    this.#parent = parent
    this.#open = open
  }

  attributes(): Attributes {
    return attributesOf(this.qid, this.#name, this.#view.space.root.facts, 0o666, this.#view.startedAt)
  }

  parent(): Node {
    return this.#parent
  }

  open(_mode: OpenMode): Handle {
    return this.#open()
  }
}
