/** The tree of channels: folders and names, and the limits that hold for all of them together. */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { SeededRandom } from "../../../base/random.ts"
import { Channel } from "./channel.ts"
import type { ChannelHost, Facts } from "./channel.ts"
import { select } from "./select.ts"
import type { SelectCase, Selection, SelectOutcome } from "./select.ts"
import { checkSettings, defaultChannelSettings } from "./settings.ts"
import type { ChannelSettings } from "./settings.ts"

export interface SpaceLimits {
  readonly channels: number
  /** Folders count as well. */
  readonly depth: number
  /** Bytes of all messages that are in the care of channels, and `messageOverhead` for each of them. */
  readonly messageBytes: number
}

export const defaultSpaceLimits: SpaceLimits = { channels: 10_000, depth: 16, messageBytes: 256 * 2 ** 20 }

export interface SpaceOptions {
  readonly clock: Clock
  readonly random: SeededRandom
  readonly limits?: Partial<SpaceLimits>
  /** For new channels. */
  readonly defaults?: Partial<ChannelSettings>
}

export class Folder {
  readonly id: number
  /** `/` for the root. */
  readonly path: string
  readonly parent: Folder | undefined
  readonly facts: Facts
  readonly children: Map<string, Folder | Channel> = new Map()

  constructor(id: number, path: string, parent: Folder | undefined, facts: Facts) {
    this.id = id
    this.path = path
    this.parent = parent
    this.facts = facts
  }

  /** The path of a child of this name. */
  under(name: string): string {
    return this.path === "/" ? `/${name}` : `${this.path}/${name}`
  }
}

export const defaultFacts: Facts = { owner: "nobody", uid: 65_534, gid: 65_534, permissions: 0o666 }

export class Space implements ChannelHost {
  readonly clock: Clock
  readonly limits: SpaceLimits
  readonly root: Folder
  readonly #random: SeededRandom
  readonly #defaults: ChannelSettings
  readonly #channels: Map<string, Channel> = new Map()
  #folders = 0
  #nextId = 2
  #messageBytes = 0

  constructor({ clock, random, limits, defaults }: SpaceOptions) {
    this.clock = clock
    this.#random = random
    this.limits = { ...defaultSpaceLimits, ...limits }
    this.#defaults = { ...defaultChannelSettings, ...defaults }
    checkSettings(this.#defaults)
    this.root = new Folder(1, "/", undefined, { ...defaultFacts, permissions: 0o777 })
  }

  /** What counts for the limit of this name. */
  get messageBytes(): number {
    return this.#messageBytes
  }

  channels(): Iterable<Channel> {
    return this.#channels.values()
  }

  find(path: string): Channel | undefined {
    return this.#channels.get(path)
  }

  lookup(path: string): Channel | Folder | undefined {
    if (path === "/") return this.root
    let node: Channel | Folder | undefined = this.root
    for (const name of namesOf(path)) {
      if (!(node instanceof Folder)) return undefined
      node = node.children.get(name)
    }
    return node
  }

  /** The channel of that path. Throws `not_found`. */
  channel(path: string): Channel {
    const found = this.#channels.get(path) ?? this.lookup(path)
    if (found instanceof Channel) return found
    throw new RdvError("not_found", found === undefined ? `There is no channel ${path}` : `${path} is a folder`)
  }

  /** Throws `usage` for a name that cannot be, `not_found`, `exists`, `limit`. */
  create(path: string, facts: Partial<Facts> = {}, settings: Partial<ChannelSettings> = {}): Channel {
    const { folder, name } = this.#place(path)
    if (this.#channels.size >= this.limits.channels) {
      throw new RdvError("limit", `There are ${this.limits.channels} channels already`)
    }
    const all = { ...this.#defaults, ...settings }
    checkSettings(all)
    const channel = new Channel(this.#nextId++, folder.under(name), { ...defaultFacts, ...facts }, all, this)
    folder.children.set(name, channel)
    this.#channels.set(channel.path, channel)
    return channel
  }

  /** Throws as `create`. */
  makeFolder(path: string, facts: Partial<Facts> = {}): Folder {
    const { folder, name } = this.#place(path)
    if (this.#folders >= this.limits.channels) {
      throw new RdvError("limit", `There are ${this.limits.channels} folders already`)
    }
    const made = new Folder(this.#nextId++, folder.under(name), folder, {
      ...defaultFacts,
      permissions: 0o777,
      ...facts,
    })
    folder.children.set(name, made)
    this.#folders++
    return made
  }

  /** A channel with all that is in it, or an empty folder. Throws `not_found`, `in_use`, `forbidden`. */
  remove(path: string): void {
    const found = this.lookup(path)
    if (found === undefined) throw new RdvError("not_found", `There is no ${path}`)
    if (found === this.root) throw new RdvError("forbidden", "The root cannot be removed")
    if (found instanceof Folder && found.children.size > 0) throw new RdvError("in_use", `${path} is not empty`)
    const names = namesOf(path)
    const parent = this.lookup(`/${names.slice(0, -1).join("/")}`) as Folder
    parent.children.delete(names.at(-1) as string)
    if (found instanceof Channel) {
      this.#channels.delete(found.path)
      found.remove()
    } else {
      this.#folders--
    }
  }

  /** One of the cases happens, chosen fairly among those that can; see `select.ts`. */
  select(cases: readonly SelectCase[], hear: (outcome: SelectOutcome) => void): Selection {
    return select(cases, this.#random, hear)
  }

  /** Once a second, for the rates. */
  tick(): void {
    for (const channel of this.#channels.values()) channel.tick()
  }

  reserve(bytes: number): void {
    if (this.#messageBytes + bytes > this.limits.messageBytes) {
      throw new RdvError("limit", `The memory for messages is used up (${this.limits.messageBytes} bytes)`)
    }
    this.#messageBytes += bytes
  }

  free(bytes: number): void {
    this.#messageBytes -= bytes
  }

  #place(path: string): { folder: Folder; name: string } {
    const names = namesOf(path)
    const name = names.at(-1)
    if (name === undefined) throw new RdvError("exists", "The root is there already")
    if (names.length > this.limits.depth) throw new RdvError("limit", `${path} is deeper than ${this.limits.depth}`)
    checkName(name)
    const folder = this.lookup(`/${names.slice(0, -1).join("/")}`)
    if (folder === undefined) throw new RdvError("not_found", `The folder of ${path} does not exist`)
    if (!(folder instanceof Folder)) throw new RdvError("not_found", `${folder.path} is a channel, not a folder`)
    if (folder.children.has(name)) throw new RdvError("exists", `${path} exists already`)
    return { folder, name }
  }
}

/** The role files of a channel `x` stand in the folder `x.d`. */
export const rolesSuffix = ".d"

/** At the root these are files of the server. */
const reservedAtRoot: ReadonlySet<string> = new Set(["/ctl", "/select"])

/** Throws `usage` for a name that no channel or folder may have. */
function checkName(name: string): void {
  const mend = "choose another one"
  const shown = JSON.stringify(name.slice(0, 80))
  if (name === "." || name === "..") throw new RdvError("usage", `${shown} is no name`, { mend })
  if (name.endsWith(rolesSuffix)) {
    throw new RdvError("usage", `${shown} ends in "${rolesSuffix}", as the folders of role files do`, { mend })
  }
  if (new TextEncoder().encode(name).length > 255) {
    throw new RdvError("usage", `The name ${shown}… is longer than 255 bytes`, { mend })
  }
  // oxlint-disable-next-line no-control-regex -- the lines of ctl are cut at them
  if (/[\u0000-\u001f\u007f]/.test(name)) {
    throw new RdvError("usage", `The name ${shown} has control characters`, { mend })
  }
}

/** The elements of an absolute path. Throws `usage`. */
function namesOf(path: string): string[] {
  if (!path.startsWith("/") || path.length > 4096) {
    throw new RdvError("usage", `${JSON.stringify(path.slice(0, 80))} is no path`, { mend: "begin it with /" })
  }
  if (path === "/") return []
  const names = path.slice(1).split("/")
  if (names.includes("")) {
    throw new RdvError("usage", `${JSON.stringify(path.slice(0, 80))} has an empty name`, { mend: "write one / only" })
  }
  const [first] = names
  if (names.length === 1 && reservedAtRoot.has(`/${first}`)) {
    throw new RdvError("exists", `${path} is a file of the server`)
  }
  return names
}
