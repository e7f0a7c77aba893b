/**
 * A tree with other servers' trees bound into it: what lies below a binding's prefix is theirs, everything else is as it
 * was. The folders above a binding are there even where the tree itself has none.
 */

import { NinepError } from "../../../ninep/errno.ts"
import type { AttachRequest, Node, Tree } from "../../../ninep/tree.ts"
import type { Identify, Identity } from "../files/identity.ts"
import { BoundNode, keyOf } from "./bound-node.ts"
import type { BoundView } from "./bound-node.ts"
import { mostBindings } from "./bound-qid.ts"
import { RemoteNode, rootQid } from "./remote-node.ts"
import type { RemoteView } from "./remote-node.ts"
import type { RemoteSession } from "./remote-session.ts"

export interface Binding {
  /** Names from the root; at least one. */
  readonly prefix: readonly string[]
  readonly session: RemoteSession
}

/** For one conversation, which has these sessions for itself. */
export class MountTree implements Tree {
  readonly blockSize: number
  readonly #base: Tree
  readonly #bindings: readonly Binding[]
  readonly #identify: Identify

  constructor(base: Tree, bindings: readonly Binding[], identify: Identify) {
    if (bindings.length > mostBindings) throw new NinepError("EMFILE", "Too many trees are bound")
    this.#base = base
    this.#bindings = bindings
    this.#identify = identify
    this.blockSize = base.blockSize ?? usualBlockSize
  }

  async attach(request: AttachRequest): Promise<Node> {
    const identity = await this.#identify(request)
    const names = identity.prefix.split("/").filter((name) => name !== "")
    // Whoever is bound there would walk them; the rights were compared with the path as it stands.
    if (names.includes("..") || names.includes(".")) throw new NinepError("ENOENT", "A path is written out")
    const at = this.#bindings.findIndex(({ prefix }) => prefix.every((name, index) => names[index] === name))
    const binding = this.#bindings[at]
    if (binding !== undefined) {
      const remote = remoteView(identity, request, binding, at)
      return RemoteNode.at(remote, names.slice(binding.prefix.length))
    }
    const view: BoundView = {
      bound: (path, parent) => {
        const index = this.#bindings.findIndex(({ prefix }) => keyOf(prefix) === keyOf(path))
        const found = this.#bindings[index]
        if (found === undefined) return undefined
        return new RemoteNode(remoteView(identity, request, found, index), [], rootQid, parent)
      },
      below: (path) => this.#below(path),
    }
    return new BoundNode(view, await this.#base.attach(request), names, undefined)
  }

  /** Names of this folder that lead to bindings. */
  #below(path: readonly string[]): readonly string[] {
    const below = this.#bindings.filter(
      ({ prefix }) => prefix.length > path.length && path.every((name, at) => prefix[at] === name),
    )
    return [...new Set(below.map(({ prefix }) => prefix[path.length] as string))]
  }
}

const usualBlockSize = 65_536

function remoteView(identity: Identity, { user }: AttachRequest, { prefix, session }: Binding, at: number): RemoteView {
  return {
    session,
    name: prefix.at(-1) as string,
    binding: at,
    user: { name: user.name, uid: user.uid === undefined ? undefined : identity.uid },
    check(below, mode) {
      const names = [...prefix, ...below]
      const path = channelPath(names)
      const wants = wantsOf(names, mode)
      if (wants.read && !identity.mayReceive(path)) throw new NinepError("EACCES", `No right to receive at ${path}`)
      if (wants.write && !identity.maySend(path)) throw new NinepError("EACCES", `No right to send at ${path}`)
    },
  }
}

/** Writing is not sending everywhere: settings and selects take both rights, an acknowledgement that of receivers. */
function wantsOf(names: readonly string[], mode: Wants): Wants {
  const [file = "", folder = ""] = names.toReversed()
  if (!mode.write) return mode
  if (file === "ctl" || folder === "select") return { read: true, write: true }
  return folder.endsWith(".d") && /^ack(@|$)/.test(file) ? { read: true, write: false } : mode
}

interface Wants {
  readonly read: boolean
  readonly write: boolean
}

/** Rules name channels; `/jobs.d/recv` is one of the files of `/jobs`. */
function channelPath(names: readonly string[]): string {
  const folder = names.findIndex((name) => name.endsWith(".d") && name.length > 2)
  const whole = folder < 0 ? names : [...names.slice(0, folder), (names[folder] as string).slice(0, -2)]
  return `/${whole.join("/")}`
}
