/**
 * The space as one client sees it: its folder as the root, and what it may do there. Paths that come in and go out are the
 * client's; those of channels are the space's.
 */

import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import { Channel } from "../core/channel.ts"
import type { Facts } from "../core/channel.ts"
import type { ChannelSettings } from "../core/settings.ts"
import { Folder } from "../core/space.ts"
import type { Space } from "../core/space.ts"
import type { Identity } from "../files/identity.ts"
import { permits, sees } from "../files/permissions.ts"
import { readSettings } from "./settings-json.ts"

export class View {
  readonly space: Space
  readonly #identity: Identity
  readonly #prefix: string

  constructor(space: Space, identity: Identity) {
    this.space = space
    this.#identity = identity
    this.#prefix = identity.prefix === "/" ? "" : identity.prefix
  }

  /** The space's path of a client's. */
  full(path: string): string {
    return path === "/" && this.#prefix !== "" ? this.#prefix : this.#prefix + path
  }

  /** The client's path of the space's. */
  shown(full: string): string {
    return full === this.#prefix ? "/" : full.slice(this.#prefix.length)
  }

  /** The channel to send to or to receive from; with `create` it is made when it is missing, with these settings. */
  open(path: string, right: "send" | "receive", create: JsonObject | undefined): Channel {
    const full = this.full(path)
    const found = this.space.lookup(full)
    if (found instanceof Folder) throw new RdvError("not_found", `${path} is a folder`)
    if (found !== undefined) {
      this.#require(found, right)
      return found
    }
    if (create === undefined) {
      throw new RdvError("not_found", `There is no channel ${path}`, {
        mend: "make it with rdv chan new, or with --create",
      })
    }
    const made = this.create(path, create, true)
    this.#require(made, right)
    return made
  }

  /** Throws `exists`, `not_found`, `forbidden`, `usage`, `limit`. */
  create(path: string, settings: JsonObject, withFolders: boolean): Channel {
    const full = this.full(path)
    const changes = this.settings(settings)
    if (withFolders) this.#makeFolders(full)
    this.#requirePlace(full)
    return this.space.create(full, { ...this.#facts(), permissions: 0o666 }, changes)
  }

  makeFolder(path: string, withFolders: boolean): void {
    const full = this.full(path)
    if (withFolders) {
      this.#makeFolders(full)
      if (this.space.lookup(full) instanceof Folder) return
    }
    this.#requirePlace(full)
    this.space.makeFolder(full, { ...this.#facts(), permissions: 0o777 })
  }

  remove(path: string): void {
    const full = this.full(path)
    if (this.space.lookup(full) === undefined) throw new RdvError("not_found", `There is no ${path}`)
    this.#requirePlace(full)
    this.space.remove(full)
  }

  /** What may be looked at. Throws `not_found`. */
  find(path: string): Channel | Folder {
    const found = this.space.lookup(this.full(path))
    if (found === undefined || !this.sees(found)) throw new RdvError("not_found", `There is no ${path}`)
    return found
  }

  /** A channel to be set or closed. */
  own(path: string): Channel {
    const found = this.find(path)
    if (found instanceof Folder) throw new RdvError("not_found", `${path} is a folder`)
    const { admin, uid } = this.#identity
    if (!this.#mayBoth(found.path) || !(admin || found.facts.uid === uid)) {
      throw new RdvError("forbidden", `${path} belongs to ${found.facts.owner}`)
    }
    return found
  }

  /** Settings that this client may give to a channel. Throws `usage`, `forbidden`. */
  settings(json: JsonObject): Partial<ChannelSettings> {
    const changes = readSettings(json)
    const { deadLetter } = changes
    if (!deadLetter) return changes
    const full = this.full(deadLetter)
    const grave = this.space.find(full)
    if (grave !== undefined) this.#require(grave, "send")
    else if (!this.#identity.maySend(full)) {
      throw new RdvError("forbidden", `${this.#identity.name} may not send to ${deadLetter}`)
    }
    return { ...changes, deadLetter: full }
  }

  sees(node: Channel | Folder): boolean {
    if (!sees(this.#identity, node.path)) return false
    if (node instanceof Folder) return permits(this.#identity, node.facts, "read")
    const { path } = node
    return this.#identity.mayReceive(path) || this.#identity.maySend(path)
  }

  /** All channels that this client sees. */
  *channels(): Generator<Channel> {
    for (const channel of this.space.channels()) {
      if (channel.path.startsWith(`${this.#prefix}/`) && this.sees(channel)) yield channel
    }
  }

  #require(channel: Channel, right: "send" | "receive"): void {
    const identity = this.#identity
    const may =
      right === "send"
        ? permits(identity, channel.facts, "write") && identity.maySend(channel.path)
        : permits(identity, channel.facts, "read") && identity.mayReceive(channel.path)
    if (may) return
    const what = right === "send" ? "send to" : "receive from"
    throw new RdvError("forbidden", `${identity.name} may not ${what} ${this.shown(channel.path)}`)
  }

  #mayBoth(full: string): boolean {
    return this.#identity.mayReceive(full) && this.#identity.maySend(full)
  }

  #requirePlace(full: string): void {
    const folder = this.space.lookup(parentOf(full))
    if (folder === undefined) throw new RdvError("not_found", `The folder of ${this.shown(full)} does not exist`)
    if (folder instanceof Channel)
      throw new RdvError("not_found", `${this.shown(folder.path)} is a channel, not a folder`)
    const identity = this.#identity
    const may = permits(identity, folder.facts, "write") && permits(identity, folder.facts, "search")
    if (may && this.#mayBoth(full)) return
    throw new RdvError("forbidden", `${identity.name} may not make or remove ${this.shown(full)}`)
  }

  #makeFolders(full: string): void {
    const parent = parentOf(full)
    if (parent === "/" || this.space.lookup(parent) !== undefined) return
    this.#makeFolders(parent)
    this.#requirePlace(parent)
    this.space.makeFolder(parent, { ...this.#facts(), permissions: 0o777 })
  }

  #facts(): Pick<Facts, "owner" | "uid" | "gid"> {
    const { name, uid, gid } = this.#identity
    return { owner: name, uid, gid }
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")))
}
