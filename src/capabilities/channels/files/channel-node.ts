/** A channel's own file, as dchan has it: read receives, write sends, unlink removes. */

import { NinepError } from "../../../ninep/errno.ts"
import type { AttributeChanges, Attributes, Handle, Node, OpenMode, Qid } from "../../../ninep/tree.ts"
import type { Channel, Facts } from "../core/channel.ts"
import { withErrno } from "./errno-of.ts"
import { attributesOf, FileNode, lastName } from "./file-node.ts"
import { fileQid } from "./inode.ts"
import { requireOwner, requirePlace, requireReceive, requireSend } from "./permissions.ts"
import type { Identity } from "./identity.ts"
import { PlainHandle } from "./plain-handle.ts"
import { ReceiveHandle } from "./receive-handle.ts"
import { unlimited } from "./role-name.ts"
import { SendHandle } from "./send-handle.ts"
import type { View } from "./view.ts"

export class ChannelNode extends FileNode {
  readonly qid: Qid
  readonly #view: View
  readonly #channel: Channel
  readonly #parent: () => Node

  constructor(view: View, channel: Channel, parent: () => Node) {
    super()
    this.qid = fileQid(channel.id, "self")
    this.#view = view
    this.#channel = channel
    this.#parent = parent
  }

  attributes(): Attributes {
    const { path, facts, changedAt, removed } = this.#channel
    if (removed) throw new NinepError("EIDRM", `${path} was removed`)
    return attributesOf(this.qid, lastName(path), facts, facts.permissions, changedAt / 1_000)
  }

  parent(): Node {
    return this.#parent()
  }

  open({ read, write }: OpenMode): Handle {
    const { identity } = this.#view
    if (read) requireReceive(identity, this.#channel)
    if (write) requireSend(identity, this.#channel)
    return this.handle(read, write)
  }

  /** For who has just made it, whatever its permissions are. */
  handle(read: boolean, write: boolean): Handle {
    return withErrno(() => {
      const { space } = this.#view
      const ways = { ...unlimited, clock: space.clock, memory: space }
      if (!read) return new SendHandle(this.#channel, ways)
      const receiving = new ReceiveHandle(this.#channel, ways)
      if (!write) return receiving
      try {
        return new PlainHandle(receiving, new SendHandle(this.#channel, ways))
      } catch (error) {
        receiving.close(false)
        throw error
      }
    })
  }

  override remove(folder?: boolean): void {
    if (folder === true) throw new NinepError("ENOTDIR")
    const { space, identity } = this.#view
    const { path, removed } = this.#channel
    if (removed) throw new NinepError("ENOENT", `${path} was removed`)
    const above = space.lookup(path.slice(0, path.lastIndexOf("/")) || "/")
    if (above !== undefined) requirePlace(identity, above.facts, path)
    withErrno(() => space.remove(path))
  }

  override change(changes: AttributeChanges): void {
    changeFacts(this.#view.identity, this.#channel, changes)
  }
}

/** chmod by the owner, chown by an admin. Length and times mean nothing here and are accepted. */
export function changeFacts(
  identity: Identity,
  { facts, path }: { readonly facts: Facts; readonly path: string },
  { permissions, uid, gid, name }: AttributeChanges,
): void {
  if (name !== undefined && name !== lastName(path)) throw new NinepError("EPERM", "Channels keep their names")
  const isGiven = (uid !== undefined && uid !== facts.uid) || (gid !== undefined && gid !== facts.gid)
  if (isGiven && !identity.admin) throw new NinepError("EPERM", `Only an admin gives ${path} away`)
  if (permissions !== undefined) {
    requireOwner(identity, facts, path)
    facts.permissions = permissions & 0o777
  }
  if (uid !== undefined && uid !== facts.uid) {
    facts.uid = uid
    facts.owner = String(uid)
  }
  if (gid !== undefined) facts.gid = gid
}
