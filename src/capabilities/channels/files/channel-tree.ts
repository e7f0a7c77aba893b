/**
 * Channels as files: the tree that the 9P server serves. docs/reference/channel-files.md tells what each file does,
 * docs/decisions/0013-channel-tree.md why the tree has this shape.
 *
 *     /ctl  /select/clone
 *     /data/input          read receives, write sends
 *     /data/input.d/       send recv next put peek tail take ack ctl stat
 */

import { NinepError } from "../../../ninep/errno.ts"
import type { AttachRequest, Node, Tree } from "../../../ninep/tree.ts"
import type { Space } from "../core/space.ts"
import { FolderNode } from "./folder-node.ts"
import { identifyAnyone } from "./identity.ts"
import type { Identify } from "./identity.ts"
import { SelectSets } from "./select-sets.ts"
import { Desk, folderAt, pathsBelow } from "./view.ts"

export interface ChannelTreeOptions {
  readonly space: Space
  /** Default: everybody may do everything. */
  readonly identify?: Identify
}

export class ChannelTree implements Tree {
  /** Programs write through stdio in pieces of this size: a message should fit. */
  readonly blockSize: number = 65_536
  readonly #space: Space
  readonly #identify: Identify
  readonly #desk: Desk = new Desk()
  readonly #sets: SelectSets = new SelectSets()
  readonly #startedAt: number

  constructor({ space, identify = identifyAnyone }: ChannelTreeOptions) {
    this.#space = space
    this.#identify = identify
    this.#startedAt = Math.floor(space.clock.wall() / 1_000)
  }

  attach(request: AttachRequest): Promise<Node> {
    return this.#attach(request, this.#identify)
  }

  /** The same tree for a connection that identifies its users otherwise. */
  identifiedBy(identify: Identify): Tree {
    return { blockSize: this.blockSize, attach: (request) => this.#attach(request, identify) }
  }

  async #attach(request: AttachRequest, identify: Identify): Promise<Node> {
    const identity = await identify(request)
    // It stands in every description of what this user makes.
    if (identity.name.length > longestName) throw new NinepError("ENAMETOOLONG", "The user's name is too long")
    const space = this.#space
    const root = folderAt(space, identity.prefix)
    return new FolderNode(
      {
        space,
        identity,
        root,
        paths: pathsBelow(root.path),
        desk: this.#desk,
        sets: this.#sets,
        startedAt: this.#startedAt,
      },
      root,
    )
  }
}

/** Characters. */
const longestName = 255
