/**
 * A small 9P client: one connection, one user, paths from the root. What it opens are `RemoteFile`s; below them are `Calls`,
 * which send any message. All methods reject with `NinepError`s: a `RemoteError` is what the server has answered, a
 * `LinkLostError` means that nobody knows. A signal withdraws what waits.
 */

import type { ByteLink } from "./byte-link.ts"
import { Calls } from "./client-calls.ts"
import { permissionBits } from "./bits.ts"
import { NinepError } from "./errno.ts"
import { NOFID, NONUNAME, type Dialect, type Rlerror } from "./message.ts"
import { Numbers } from "./numbers.ts"
import type { RemoteAttributes } from "./remote-attributes.ts"
import { RemoteError } from "./remote-error.ts"
import { RemoteFile, type RemoteEntry, type RemoteMode } from "./remote-file.ts"
import type { AttributeChanges } from "./tree.ts"
import { agreeOnVersion } from "./version.ts"

export interface ConnectOptions extends AttachOptions {
  /** The client owns it from here on. */
  readonly link: ByteLink
  /** The first one that the server has is taken. Default .L, .u, 9P2000. */
  readonly dialects?: readonly Dialect[]
  /** The largest message, bytes; the server may want less. Default 128 KiB and a head. */
  readonly msize?: number
  /** Requests under way at once; more are `ENOBUFS`. Default 4096. */
  readonly mostCalls?: number
  /** Fids in use at once; more are `EMFILE`. Default 65536. */
  readonly mostFids?: number
  readonly signal?: AbortSignal
  /** The conversation is over; without an error it was closed in good order. Not called when `connect` fails. */
  readonly onClose?: (error: Error | undefined) => void
}

export interface AttachOptions {
  /** The user's name. Default none. */
  readonly user?: string
  /** Which tree; here also who may. */
  readonly aname?: string
  /** The user's number, for .u and .L. */
  readonly uid?: number
}

const usualMsize = 128 * 1024 + 24

export class NinepClient {
  /** For messages of one's own, and for reading and writing without promises. */
  readonly calls: Calls
  readonly #fids: Numbers
  #root: RemoteFile | undefined

  private constructor(calls: Calls, fids: Numbers) {
    this.calls = calls
    this.#fids = fids
  }

  /** Agrees on a version and attaches. Throws `EPROTO` when no dialect is shared, and what the server answers. */
  static async connect(options: ConnectOptions): Promise<NinepClient> {
    const { link, dialects = ["9P2000.L", "9P2000.u", "9P2000"], msize = usualMsize, signal } = options
    let isConnected = false
    const onClose = (error: Error | undefined) => {
      if (isConnected) options.onClose?.(error)
    }
    const calls = new Calls({ link, msize, mostCalls: options.mostCalls ?? 4096, onClose })
    const client = new NinepClient(calls, new Numbers(options.mostFids ?? 65_536))
    // Before there is a version there is no Tflush.
    const abort = () => client.close()
    signal?.addEventListener("abort", abort, { once: true })
    try {
      signal?.throwIfAborted()
      await agreeOnVersion(calls, dialects, msize)
      client.#root = await client.attach(options)
      signal?.throwIfAborted()
      isConnected = true
      return client
    } catch (error) {
      client.close()
      throw signal?.aborted === true ? signal.reason : error
    } finally {
      signal?.removeEventListener("abort", abort)
    }
  }

  get dialect(): Dialect {
    return this.calls.dialect
  }

  /** The largest message, as agreed on. */
  get msize(): number {
    return this.calls.msize
  }

  /** What `connect` has attached to; it is not clunked. */
  get root(): RemoteFile {
    return this.#root as RemoteFile
  }

  /** Attaches once more: another tree, another user. */
  async attach(
    { user = "", aname = "", uid = NONUNAME }: AttachOptions = {},
    signal?: AbortSignal,
  ): Promise<RemoteFile> {
    const fid = this.#fids.take()
    if (fid === undefined) throw new NinepError("EMFILE", "Too many 9P fids are in use")
    try {
      const attach = { type: "Tattach", tag: 0, fid, afid: NOFID, uname: user, aname, nUname: uid } as const
      const { qid } = await this.calls.ask(attach, signal)
      return new RemoteFile(this.calls, this.#fids, fid, qid)
    } catch (error) {
      this.#fids.give(fid)
      throw error
    }
  }

  /** A new fid for the path, not opened. */
  walk(path: string, signal?: AbortSignal): Promise<RemoteFile> {
    return this.root.walk(elementsOf(path), signal)
  }

  async open(path: string, mode: RemoteMode, signal?: AbortSignal): Promise<RemoteFile> {
    const file = await this.walk(path, signal)
    return settled(file, file.open(mode, signal))
  }

  /** Makes a file and opens it. */
  async create(path: string, permissions: number, mode: RemoteMode, signal?: AbortSignal): Promise<RemoteFile> {
    const { folder, name } = splitPath(path)
    const file = await this.root.walk(folder, signal)
    return settled(file, file.create(name, permissions, mode, signal))
  }

  /** Makes a folder. */
  async mkdir(path: string, permissions = 0o755, signal?: AbortSignal): Promise<void> {
    const { folder, name } = splitPath(path)
    const parent = await this.root.walk(folder, signal)
    try {
      if (this.dialect !== "9P2000.L") await parent.create(name, permissions + permissionBits.DMDIR, {}, signal)
      else await this.calls.ask({ type: "Tmkdir", tag: 0, dfid: parent.fid, name, mode: permissions, gid: 0 }, signal)
    } finally {
      await parent.leave()
    }
  }

  async remove(path: string, signal?: AbortSignal): Promise<void> {
    const file = await this.walk(path, signal)
    await file.remove(signal)
  }

  async stat(path: string, signal?: AbortSignal): Promise<RemoteAttributes> {
    const file = await this.walk(path, signal)
    try {
      return await file.attributes(signal)
    } finally {
      await file.leave()
    }
  }

  async change(path: string, changes: AttributeChanges, signal?: AbortSignal): Promise<void> {
    const file = await this.walk(path, signal)
    try {
      await file.change(changes, signal)
    } finally {
      await file.leave()
    }
  }

  /** Gives a file another name in the same folder; `name` is that alone. */
  async rename(path: string, name: string, signal?: AbortSignal): Promise<void> {
    if (this.dialect !== "9P2000.L") return this.change(path, { name }, signal)
    const { folder, name: oldname } = splitPath(path)
    const parent = await this.root.walk(folder, signal)
    try {
      const [olddirfid, newdirfid] = [parent.fid, parent.fid]
      const renameat = { type: "Trenameat", tag: 0, olddirfid, oldname, newdirfid, newname: name } as const
      const answer = await this.calls.call(renameat, signal)
      if (answer.type === "Rrenameat") return
      const error = new RemoteError(answer as Rlerror)
      if (error.errno !== "EOPNOTSUPP") throw error
      // Older servers have Trename alone.
      const file = await parent.walk([oldname], signal)
      const rename = { type: "Trename", tag: 0, fid: file.fid, dfid: parent.fid, name } as const
      try {
        await this.calls.ask(rename, signal)
      } finally {
        await file.leave()
      }
    } finally {
      await parent.leave()
    }
  }

  /** What a folder has, in the server's order. */
  async list(path: string, signal?: AbortSignal): Promise<RemoteEntry[]> {
    const folder = await this.open(path, { read: true }, signal)
    try {
      return await folder.entries(signal)
    } finally {
      await folder.leave()
    }
  }

  /** Ends the conversation; what waits rejects with `LinkLostError`. */
  close(): void {
    this.calls.close()
  }
}

/** The names of a path; `/` and empty ones between slashes are none. */
function elementsOf(path: string): string[] {
  return path.split("/").filter((element) => element !== "")
}

function splitPath(path: string): { readonly folder: readonly string[]; readonly name: string } {
  const folder = elementsOf(path)
  const name = folder.pop()
  if (name === undefined) throw new NinepError("EEXIST", "The root is there already")
  return { folder, name }
}

/** The file once that is done; where it fails, the fid goes. */
async function settled(file: RemoteFile, doing: Promise<void>): Promise<RemoteFile> {
  try {
    await doing
    return file
  } catch (error) {
    await file.leave()
    throw error
  }
}
