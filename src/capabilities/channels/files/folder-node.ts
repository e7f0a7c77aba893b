/** A folder of channels. Beside each channel `x` stands the folder `x.d` with its role files; at the root, `ctl` and `select`. */

import { utf8Encode } from "../../../base/text.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { AttributeChanges, Attributes, Created, Entry, Handle, Node, OpenMode, Qid } from "../../../ninep/tree.ts"
import { Channel } from "../core/channel.ts"
import { rolesSuffix } from "../core/space.ts"
import type { Folder } from "../core/space.ts"
import { changeFacts, ChannelNode } from "./channel-node.ts"
import { errnoOf, withErrno } from "./errno-of.ts"
import { attributesOf, lastName } from "./file-node.ts"
import { FixedFolder } from "./fixed-folder.ts"
import { fileQid, folderQid } from "./inode.ts"
import { ListHandle } from "./list-handle.ts"
import { permits, requirePlace, sees } from "./permissions.ts"
import { readRoleName, roles, saltOf } from "./role-name.ts"
import { RoleNode } from "./role-node.ts"
import { obeyRoot, showChannels } from "./root-ctl.ts"
import { SelectHandle } from "./select-handle.ts"
import { ServerFile } from "./server-file.ts"
import { SnapshotHandle } from "./snapshot-handle.ts"
import type { View } from "./view.ts"

export class FolderNode implements Node {
  readonly qid: Qid
  readonly #view: View
  readonly #folder: Folder

  constructor(view: View, folder: Folder) {
    this.qid = folderQid(folder.id, "self")
    this.#view = view
    this.#folder = folder
  }

  attributes(): Attributes {
    const { path, facts } = this.#folder
    const name = this.#isRoot ? "/" : lastName(path)
    return attributesOf(this.qid, name, facts, facts.permissions, this.#view.startedAt)
  }

  walk(name: string): Node | undefined {
    this.#require("search")
    const serverNode = this.#isRoot ? this.#serverNode(name) : undefined
    return serverNode ?? this.#childNode(name)
  }

  parent(): Node {
    const { parent } = this.#folder
    return this.#isRoot || parent === undefined ? this : new FolderNode(this.#view, parent)
  }

  open(mode: OpenMode): Handle {
    this.#require("read")
    return new ListHandle(mode, () => this.#list())
  }

  create(name: string, permissions: number, { read, write }: OpenMode): Created {
    const { space, identity } = this.#view
    const path = this.#placeOf(name)
    const { name: owner, uid, gid } = identity
    const channel = withErrno(() => space.create(path, { owner, uid, gid, permissions: permissions & 0o777 }))
    const node = new ChannelNode(this.#view, channel, () => this)
    try {
      return { node, handle: node.handle(read, write) }
    } catch (error) {
      space.remove(path)
      throw errnoOf(error)
    }
  }

  makeFolder(name: string, permissions: number): Node {
    const { space, identity } = this.#view
    const path = this.#placeOf(name)
    const { name: owner, uid, gid } = identity
    const facts = { owner, uid, gid, permissions: permissions & 0o777 }
    return new FolderNode(
      this.#view,
      withErrno(() => space.makeFolder(path, facts)),
    )
  }

  remove(folder?: boolean): void {
    const { path, parent, children } = this.#folder
    const { space, identity } = this.#view
    if (folder === false) throw new NinepError("EISDIR")
    if (this.#isRoot || parent === undefined) throw new NinepError("EBUSY", "The root stays")
    requirePlace(identity, parent.facts, path)
    if (children.size > 0) throw new NinepError("ENOTEMPTY", `${path} is not empty`)
    if (space.lookup(path) !== this.#folder) throw new NinepError("ENOENT", `${path} was removed`)
    withErrno(() => space.remove(path))
  }

  change(changes: AttributeChanges): void {
    const { name, ...rest } = changes
    // What the client calls its root is nobody's business.
    changeFacts(this.#view.identity, this.#folder, this.#isRoot || name === undefined ? rest : changes)
  }

  get #isRoot(): boolean {
    return this.#folder === this.#view.root
  }

  #require(right: "read" | "search"): void {
    const { identity } = this.#view
    if (!permits(identity, this.#folder.facts, right)) {
      throw new NinepError("EACCES", `${identity.name} may not look into ${this.#folder.path}`)
    }
  }

  /** The path of a new child. */
  #placeOf(name: string): string {
    const { identity, space } = this.#view
    // Another folder may be there by now, with other rights than those that are looked at here.
    if (space.lookup(this.#folder.path) !== this.#folder)
      throw new NinepError("ENOENT", `${this.#folder.path} was removed`)
    if (this.walk(name) !== undefined) throw new NinepError("EEXIST", `${name} is there already`)
    const path = this.#folder.under(name)
    requirePlace(identity, this.#folder.facts, path)
    return path
  }

  #list(): Entry[] {
    const entries: Entry[] = []
    const add = (name: string) => {
      const node = (this.#isRoot ? this.#serverNode(name) : undefined) ?? this.#childNode(name)
      if (node !== undefined) entries.push({ name, node })
    }
    if (this.#isRoot) serverNames.forEach(add)
    for (const [name, child] of this.#folder.children) {
      // Only below a prefix: the server's files hide channels of their names.
      if (this.#isRoot && serverNames.includes(name)) continue
      add(name)
      // Behind its channel: `rm -rf` then finds it gone.
      if (child instanceof Channel) add(name + rolesSuffix)
    }
    return entries
  }

  #childNode(name: string): Node | undefined {
    const { children } = this.#folder
    const seen = (child: Channel | Folder | undefined) =>
      child !== undefined && sees(this.#view.identity, child.path) ? child : undefined
    const child = seen(children.get(name))
    if (child instanceof Channel) return new ChannelNode(this.#view, child, () => this)
    if (child !== undefined) return new FolderNode(this.#view, child)
    const channel = name.endsWith(rolesSuffix) ? seen(children.get(name.slice(0, -rolesSuffix.length))) : undefined
    return channel instanceof Channel ? this.#roles(channel, name) : undefined
  }

  #roles(channel: Channel, name: string): Node {
    const qid = folderQid(channel.id, "roles")
    const file = (role: string, folder: Node) => {
      const read = readRoleName(role)
      return read === undefined ? undefined : new RoleNode(this.#view, channel, role, read, folder)
    }
    return new FixedFolder(qid, {
      attributes: () => attributesOf(qid, name, channel.facts, 0o555, channel.changedAt / 1_000),
      parent: () => this,
      list: (folder) => roles.map((role) => ({ name: role, node: file(role, folder) as Node })),
      walk: file,
    })
  }

  #serverNode(name: string): Node | undefined {
    const { id } = this.#folder
    if (name === "ctl") return new ServerFile(this.#view, fileQid(id, "root-ctl"), name, this, () => this.#ctl())
    if (name !== "select") return undefined
    const view = this.#view
    const qid = folderQid(id, "selects")
    const file = (each: string, folder: Node) => {
      const isClone = each === "clone"
      const salt = isClone ? 0 : saltOf(each)
      return new ServerFile(
        view,
        fileQid(id, "select", salt),
        each,
        folder,
        () => new SelectHandle(view, isClone ? undefined : each),
      )
    }
    return new FixedFolder(qid, {
      attributes: () => attributesOf(qid, name, view.space.root.facts, 0o777, view.startedAt),
      parent: () => this,
      list: (folder) => [{ name: "clone", node: file("clone", folder) }],
      walk: file,
    })
  }

  #ctl(): Handle {
    return new SnapshotHandle({
      content: () => utf8Encode(showChannels(this.#view)),
      obey: (text) => obeyRoot(this.#view, text),
    })
  }
}

const serverNames: readonly string[] = ["ctl", "select"]
