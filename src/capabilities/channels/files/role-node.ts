/** One of the files in a channel's folder. */

import { emptyBytes } from "../../../base/bytes.ts"
import { utf8Encode } from "../../../base/text.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Attributes, Handle, Node, OpenMode, Qid } from "../../../ninep/tree.ts"
import type { Channel } from "../core/channel.ts"
import { obeyLines, showSettings } from "./channel-ctl.ts"
import { showStats } from "./channel-stat.ts"
import { withErrno } from "./errno-of.ts"
import { attributesOf, FileNode } from "./file-node.ts"
import { fileQid } from "./inode.ts"
import { requireGrave, requireOwner, requireReceive, requireSend } from "./permissions.ts"
import { PutHandle } from "./put-handle.ts"
import { ReceiveHandle } from "./receive-handle.ts"
import type { RoleName } from "./role-name.ts"
import { SendHandle } from "./send-handle.ts"
import { SnapshotHandle } from "./snapshot-handle.ts"
import type { View } from "./view.ts"

export class RoleNode extends FileNode {
  readonly qid: Qid
  readonly #view: View
  readonly #channel: Channel
  readonly #name: string
  readonly #role: RoleName
  readonly #parent: Node

  constructor(view: View, channel: Channel, name: string, role: RoleName, parent: Node) {
    super()
    this.qid = fileQid(channel.id, role.role, role.salt)
    this.#view = view
    this.#channel = channel
    this.#name = name
    this.#role = role
    this.#parent = parent
  }

  attributes(): Attributes {
    const { facts, changedAt, removed, path } = this.#channel
    if (removed) throw new NinepError("EIDRM", `${path} was removed`)
    const permissions = permissionsOf(this.#role.role, facts.permissions)
    const plain = attributesOf(this.qid, this.#name, facts, permissions, changedAt / 1_000)
    if (this.#role.role !== "tail") return plain
    const tail = this.#view.desk.tailAt(this.qid.path)
    const isBehind = tail?.isOpen === true ? tail.isBehind : this.#channel.canReceive()
    const modified = isBehind ? this.#view.space.clock.wall() / 1_000 : plain.modified
    return { ...plain, length: tail?.length ?? 0, modified }
  }

  parent(): Node {
    return this.#parent
  }

  open(mode: OpenMode): Handle {
    const { role } = this.#role
    const { reads, writes } = directions[role]
    if ((mode.read && !reads) || (mode.write && !writes)) {
      throw new NinepError("EACCES", `${this.#name} is for ${reads ? "reading" : "writing"}`)
    }
    this.#check(mode)
    return withErrno(() => this.#open())
  }

  #check(mode: OpenMode): void {
    const { identity } = this.#view
    const { role } = this.#role
    if (role === "send" || role === "put") requireSend(identity, this.#channel)
    else if (role === "ctl") {
      if (mode.write) requireOwner(identity, this.#channel.facts, this.#channel.path)
    } else if (role !== "stat") requireReceive(identity, this.#channel)
  }

  #open(): Handle {
    const channel = this.#channel
    const { space, paths, desk } = this.#view
    const { role, deadlineMs, isTry } = this.#role
    const ways = { deadlineMs, isTry, clock: space.clock, memory: space }
    const refused = (reason: string) => desk.refuse(channel, reason)
    switch (role) {
      case "send":
        return new SendHandle(channel, ways)
      case "put":
        return new PutHandle(channel, ways)
      case "recv":
        return new ReceiveHandle(channel, ways)
      case "next":
        return new ReceiveHandle(channel, { ...ways, isOne: true })
      case "tail":
        return new ReceiveHandle(channel, { ...ways, tail: desk.openTail(this.qid.path) })
      case "take":
        return new ReceiveHandle(channel, { ...ways, acks: desk.acksOf(channel, space) })
      case "ack":
        return new SnapshotHandle({ obey: (text) => desk.acksOf(channel, space).obey(text), refused })
      case "peek":
        // A copy: the memory of a message is used again when the message is gone.
        return new SnapshotHandle({ content: () => channel.head()?.slice() ?? emptyBytes })
      case "ctl":
        return new SnapshotHandle({
          refused,
          content: () => utf8Encode(showSettings(channel.settings, paths)),
          obey: (text) => {
            const { identity } = this.#view
            obeyLines(channel, text, paths, ({ deadLetter = "" }) => requireGrave(identity, space, deadLetter))
          },
        })
      case "stat":
        return new SnapshotHandle({ content: () => utf8Encode(showStats(channel, desk.refusalOf(channel))) })
    }
  }
}

const directions = {
  send: { reads: false, writes: true },
  put: { reads: false, writes: true },
  ack: { reads: false, writes: true },
  recv: { reads: true, writes: false },
  next: { reads: true, writes: false },
  peek: { reads: true, writes: false },
  tail: { reads: true, writes: false },
  take: { reads: true, writes: false },
  stat: { reads: true, writes: false },
  ctl: { reads: true, writes: true },
} as const

/** The channel's bits, as far as the file goes in their direction. Who may receive may acknowledge. */
function permissionsOf(role: RoleName["role"], channel: number): number {
  if (role === "ctl") return 0o644
  if (role === "stat") return 0o444
  if (role === "ack") return (channel & 0o444) >> 1
  return channel & (directions[role].reads ? 0o444 : 0o222)
}
