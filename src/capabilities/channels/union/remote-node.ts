/**
 * A file or folder of another server, as a node of ours. It is a path: fids upstream are there for open files and for the
 * time of one call, so that they are as few as what is open. Who may do what is asked of the identity here before, and of
 * the other server by its own rules.
 */

import { NinepError } from "../../../ninep/errno.ts"
import { permissionBits } from "../../../ninep/bits.ts"
import type { RemoteFile } from "../../../ninep/remote-file.ts"
import { qidType } from "../../../ninep/tree.ts"
import type {
  AttachedUser,
  AttributeChanges,
  Attributes,
  Created,
  Handle,
  Node,
  OpenMode,
  Qid,
} from "../../../ninep/tree.ts"
import type { WireQid } from "../../../ninep/message.ts"
import { boundQid } from "./bound-qid.ts"
import { RemoteHandle } from "./remote-handle.ts"
import type { RemoteRoot, RemoteSession } from "./remote-session.ts"

/** What all nodes of one user's view of a bound tree have. */
export interface RemoteView {
  readonly session: RemoteSession
  /** Of the root, in the folder where it is bound. */
  readonly name: string
  /** Of the bindings of this server. */
  readonly binding: number
  readonly user: AttachedUser
  /** Throws `EACCES` for what the user may not do at this path below the binding. */
  check(names: readonly string[], wants: { readonly read: boolean; readonly write: boolean }): void
}

/** Stands for the root, so that looking at the folder above asks nobody. */
export const rootQid: WireQid = { type: qidType.folder, version: 0, path: 2 ** 40 - 1 }

/** A tree that contains itself ends here. */
const deepest = 40

export class RemoteNode implements Node {
  readonly qid: Qid
  readonly #view: RemoteView
  readonly #names: readonly string[]
  readonly #parent: Node | undefined

  /** Without a parent it is its own. */
  constructor(view: RemoteView, names: readonly string[], qid: WireQid, parent: Node | undefined) {
    this.#view = view
    this.#names = names
    this.#parent = parent
    this.qid = boundQid(view.binding, qid)
  }

  /** What lies there is a root for somebody. Throws `ENOENT`. */
  static async at(view: RemoteView, names: readonly string[]): Promise<RemoteNode> {
    if (names.length === 0) return new RemoteNode(view, names, rootQid, undefined)
    const { qid } = await view.session.promptly(async (signal) => {
      const { folders } = await view.session.root(view.user)
      const file = await folders.walk(names, signal)
      folders.keep(names, file)
      return file
    })
    return new RemoteNode(view, names, qid, undefined)
  }

  attributes(): Attributes | Promise<Attributes> {
    if (this.#names.length === 0) return { ...rootAttributes, qid: this.qid, name: this.#view.name }
    return this.#within(async ({ file }, signal) => {
      const told = await file.attributes(signal)
      return {
        qid: boundQid(this.#view.binding, told.qid),
        name: this.#names.at(-1) as string,
        permissions: told.permissions,
        length: told.length,
        accessed: told.accessed,
        modified: told.modified,
        user: told.user,
        group: told.group,
        uid: told.uid ?? nobody,
        gid: told.gid ?? nobody,
      }
    })
  }

  async walk(name: string): Promise<Node | undefined> {
    const names = [...this.#names, name]
    if (names.length > deepest) throw new NinepError("ENAMETOOLONG", `A path is deeper than ${deepest} folders`)
    try {
      return await this.#at(names, async ({ file }) => new RemoteNode(this.#view, names, file.qid, this))
    } catch (error) {
      if (error instanceof NinepError && error.errno === "ENOENT") return undefined
      throw error
    }
  }

  parent(): Node {
    return this.#parent ?? this
  }

  open(mode: OpenMode): Promise<Handle> {
    this.#view.check(this.#names, { read: mode.read, write: mode.write || mode.truncate })
    return this.#opened(this.#names, (file, signal) => file.open(mode, signal))
  }

  async create(name: string, permissions: number, mode: OpenMode): Promise<Created> {
    const names = [...this.#names, name]
    this.#view.check(names, { read: true, write: true })
    const handle = await this.#opened(this.#names, (file, signal) => file.create(name, permissions, mode, signal))
    return { node: new RemoteNode(this.#view, names, handle.qid, this), handle }
  }

  makeFolder(name: string, permissions: number): Promise<Node> {
    const names = [...this.#names, name]
    this.#view.check(names, { read: true, write: true })
    return this.#view.session.promptly(async (signal) => {
      const at = await this.#walk(this.#names, signal)
      try {
        return new RemoteNode(this.#view, names, await makeFolder(at, name, permissions, signal), this)
      } finally {
        // It may stand for the new folder by now.
        void at.file.leave()
      }
    })
  }

  async remove(): Promise<void> {
    this.#view.check(this.#names, { read: true, write: true })
    const { session } = this.#view
    await session.promptly(async (signal) => {
      const { file, folders } = await this.#walk(this.#names, signal)
      folders.forget(this.#names)
      await file.remove(signal)
    })
  }

  change(changes: AttributeChanges): Promise<void> {
    this.#view.check(this.#names, { read: false, write: true })
    return this.#within(({ file, folders }, signal) => {
      folders.forget(this.#names)
      return file.change(changes, signal)
    })
  }

  #within<T>(run: (at: RemoteRoot, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#at(this.#names, run)
  }

  /** With a fid that is there for this call alone. */
  #at<T>(names: readonly string[], run: (at: RemoteRoot, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#view.session.promptly(async (signal) => {
      const at = await this.#walk(names, signal)
      try {
        return await run(at, signal)
      } finally {
        at.folders.keep(names, at.file)
      }
    })
  }

  #opened(
    names: readonly string[],
    open: (file: RemoteFile, signal: AbortSignal) => Promise<void>,
  ): Promise<RemoteHandle> {
    const { session } = this.#view
    return session.promptly(async (signal) => {
      const { file, calls } = await this.#walk(names, signal)
      try {
        await open(file, signal)
        signal.throwIfAborted()
      } catch (error) {
        void file.leave()
        throw error
      }
      const leave = session.use()
      const child = (name: string, qid: WireQid) => new RemoteNode(this.#view, [...this.#names, name], qid, this)
      const onClose = (gone: boolean) => {
        leave()
        if (gone) session.drop()
      }
      return new RemoteHandle({ file, calls, child, onClose })
    })
  }

  async #walk(names: readonly string[], signal: AbortSignal): Promise<RemoteRoot> {
    const { session, user } = this.#view
    const { calls, folders } = await session.root(user)
    return { file: await folders.walk(names, signal), calls, folders }
  }
}

async function makeFolder(
  { file, calls }: RemoteRoot,
  name: string,
  permissions: number,
  signal: AbortSignal,
): Promise<WireQid> {
  if (calls.dialect !== "9P2000.L") {
    await file.create(name, permissions + permissionBits.DMDIR, {}, signal)
    return file.qid
  }
  const mkdir = { type: "Tmkdir", tag: 0, dfid: file.fid, name, mode: permissions, gid: 0 } as const
  return (await calls.ask(mkdir, signal)).qid
}

/** For servers that have names alone. */
const nobody = 65_534

const rootAttributes: Omit<Attributes, "qid" | "name"> = {
  permissions: 0o777,
  length: 0,
  accessed: 0,
  modified: 0,
  user: "root",
  group: "root",
  uid: 0,
  gid: 0,
}
