/** What all files of the tree have in common; each kind says what it is and how it is opened. */

import { NinepError } from "../../../ninep/errno.ts"
import type { AttributeChanges, Attributes, Created, Handle, Node, OpenMode, Qid } from "../../../ninep/tree.ts"
import type { Facts } from "../core/channel.ts"

export abstract class FileNode implements Node {
  abstract readonly qid: Qid
  abstract attributes(): Attributes
  abstract parent(): Node
  abstract open(mode: OpenMode): Handle

  walk(): undefined {
    throw new NinepError("ENOTDIR")
  }

  create(): Created {
    throw new NinepError("ENOTDIR")
  }

  makeFolder(): Node {
    throw new NinepError("ENOTDIR")
  }

  remove(_folder?: boolean): void {
    throw new NinepError("EPERM", "This file belongs to its channel or to the server")
  }

  /** Shells truncate and touch what they open; neither means anything here. */
  change(changes: AttributeChanges): void {
    const { permissions, uid, gid, name } = changes
    if (permissions !== undefined || uid !== undefined || gid !== undefined || name !== undefined) {
      throw new NinepError("EPERM", "This file belongs to its channel or to the server")
    }
  }
}

/** The part of attributes that is equal for all. `at` is s since 1970. */
export function attributesOf(qid: Qid, name: string, facts: Facts, permissions: number, at: number): Attributes {
  const { owner, uid, gid } = facts
  return {
    qid,
    name,
    permissions,
    length: 0,
    accessed: at,
    modified: at,
    user: owner,
    group: gid === uid ? owner : String(gid),
    uid,
    gid,
  }
}

/** The last element of a path. */
export function lastName(path: string): string {
  return path === "/" ? "/" : path.slice(path.lastIndexOf("/") + 1)
}
