/** What one attached user sees: the space from a folder on, and what open files of one user have in common. */

import { NinepError } from "../../../ninep/errno.ts"
import type { Channel } from "../core/channel.ts"
import { Folder } from "../core/space.ts"
import type { Space } from "../core/space.ts"
import { Acks } from "./acks.ts"
import type { PathView } from "./channel-ctl.ts"
import type { Identity } from "./identity.ts"
import type { SelectSets } from "./select-sets.ts"
import { TailProgress } from "./tail-progress.ts"

/** Beside the space, for all who are attached to a tree. */
export class Desk {
  readonly #acks: WeakMap<Channel, Acks> = new WeakMap()
  /** By qid, for as long as one of its readers is there. */
  readonly #tails: Map<number, TailProgress> = new Map()

  readonly #refusals: WeakMap<Channel, string> = new WeakMap()

  /** Linux shows a program a number at best: why a command was refused is read in `stat`. */
  refuse(channel: Channel, reason: string): void {
    this.#refusals.set(channel, reason.replaceAll(/\s+/g, " ").slice(0, longestReason))
  }

  refusalOf(channel: Channel): string | undefined {
    return this.#refusals.get(channel)
  }

  acksOf(channel: Channel, space: Space): Acks {
    let acks = this.#acks.get(channel)
    if (acks === undefined) {
      acks = new Acks(space.clock)
      this.#acks.set(channel, acks)
    }
    return acks
  }

  /** Undefined: nobody has it open. */
  tailAt(inode: number): TailProgress | undefined {
    return this.#tails.get(inode)
  }

  openTail(inode: number): TailProgress {
    for (const [each, progress] of this.#tails) if (!progress.isOpen) this.#tails.delete(each)
    const progress = this.#tails.get(inode) ?? new TailProgress()
    this.#tails.set(inode, progress)
    return progress
  }
}

/** It may repeat what somebody wrote. */
const longestReason = 300

export interface View {
  readonly space: Space
  readonly identity: Identity
  readonly root: Folder
  readonly paths: PathView
  readonly desk: Desk
  readonly sets: SelectSets
  /** When the tree was made, for files that do not change; s since 1970. */
  readonly startedAt: number
}

/** Paths below a folder of the space. */
export function pathsBelow(prefix: string): PathView {
  if (prefix === "/") return { inSpace: (path) => path, asSeen: (path) => path }
  return {
    inSpace: (path) => (path === "/" ? prefix : prefix + path),
    asSeen: (path) => (path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined),
  }
}

/** The folder that an identity begins at. Throws `ENOENT`. */
export function folderAt(space: Space, prefix: string): Folder {
  const found = space.lookup(prefix)
  if (found instanceof Folder) return found
  throw new NinepError("ENOENT", `There is no folder ${prefix}`)
}
