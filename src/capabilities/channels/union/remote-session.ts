/**
 * A conversation with another server on behalf of one conversation here, and one attach for each of its users. It goes
 * through the same machinery as `rdv chan proxy`, so that blocked calls outlive the loss of that server. It is not shared
 * with other conversations, because the loss of one has to be told as a loss: what its client was given and has not
 * confirmed goes back.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import type { Calls } from "../../../ninep/client-calls.ts"
import { NinepClient } from "../../../ninep/client.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { RemoteFile } from "../../../ninep/remote-file.ts"
import type { AttachedUser } from "../../../ninep/tree.ts"
import { bytePair } from "../proxy/byte-pair.ts"
import { Conversation } from "../proxy/conversation.ts"
import { defaultProxyLimits } from "../proxy/limits.ts"
import type { Upstream } from "../proxy/upstream.ts"
import { FolderCache } from "./folder-cache.ts"

export interface RemoteSessionOptions {
  readonly upstream: Upstream
  /** What attaches say there: a token, a part of the tree. */
  readonly aname?: string
  readonly clock: Clock
  readonly log: Log
  /** How long what should answer at once may take, ms: a walk, an open, a stat. Blocked reads and writes wait for ever. */
  readonly patienceMs?: number
  /** Attached at once; those who were not seen for longest make room. */
  readonly users?: number
  /** Without an open file for so long, it ends until somebody comes again, ms. */
  readonly idleMs?: number
}

/** What a user's walks begin at. */
export interface RemoteRoot {
  readonly file: RemoteFile
  readonly calls: Calls
  readonly folders: FolderCache
}

const usualPatienceMs = 10_000
const usualUsers = 256
const usualIdleMs = 60_000

export class RemoteSession {
  readonly #options: RemoteSessionOptions
  #client: Promise<NinepClient> | undefined
  #conversation: Conversation | undefined
  /** By the words of the attach, least recently used first. */
  readonly #roots: Map<string, Promise<RemoteRoot>> = new Map()
  /** Calls under way and open files. */
  #uses = 0
  #idle: Timer | undefined

  constructor(options: RemoteSessionOptions) {
    this.#options = options
  }

  /** Somebody uses it, until the returned function is called. */
  use(): () => void {
    this.#uses++
    this.#idle?.cancel()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--this.#uses > 0) return
      const { clock, idleMs = usualIdleMs } = this.#options
      this.#idle = clock.after(idleMs, () => this.drop())
    }
  }

  get name(): string {
    return this.#options.upstream.name
  }

  status(): { readonly upstream: string; readonly state: string; readonly losses: number; readonly users: number } {
    const { state, losses } = this.#conversation?.status() ?? { state: "unused", losses: 0 }
    return { upstream: this.name, state, losses, users: this.#roots.size }
  }

  /** Runs something that should be answered at once. Throws `ETIMEDOUT` when it is not. */
  async promptly<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, patienceMs = usualPatienceMs } = this.#options
    const late = new AbortController()
    const error = new NinepError("ETIMEDOUT", `${this.name} does not answer`)
    const timer = clock.after(patienceMs, () => late.abort(error))
    const leave = this.use()
    try {
      // What waits before there is anything to withdraw does not hear of the signal.
      const aborted = new Promise<never>((_, reject) => {
        late.signal.addEventListener("abort", () => reject(error), { once: true })
      })
      return await Promise.race([run(late.signal), aborted])
    } finally {
      timer.cancel()
      leave()
    }
  }

  /** The root for this user. */
  async root(user: AttachedUser): Promise<RemoteRoot> {
    const key = JSON.stringify([user.name, user.uid])
    const known = this.#roots.get(key)
    if (known !== undefined) {
      this.#roots.delete(key)
      this.#roots.set(key, known)
      return known
    }
    const root = this.#attach(user)
    this.#roots.set(key, root)
    root.catch(() => {
      if (this.#roots.get(key) === root) this.#roots.delete(key)
    })
    this.#makeRoom()
    return root
  }

  /** Ends the conversation as one that was lost; whoever still waits hears `EIO`. The next call begins another one. */
  drop(): void {
    this.#idle?.cancel()
    this.#conversation?.close()
  }

  async #attach(user: AttachedUser): Promise<RemoteRoot> {
    const { aname = "" } = this.#options
    const who = { user: user.name, aname, ...(user.uid !== undefined && { uid: user.uid }) }
    if (this.#client === undefined) {
      const client = this.#connect(who)
      this.#client = client
      client.catch(() => {
        if (this.#client === client) this.#client = undefined
      })
      const { root, calls } = await client
      return { file: root, calls, folders: new FolderCache(this.#options.clock, root) }
    }
    const client = await this.#client
    const file = await client.attach(who)
    return { file, calls: client.calls, folders: new FolderCache(this.#options.clock, file) }
  }

  async #connect(who: { user: string; aname: string; uid?: number }): Promise<NinepClient> {
    const { upstream, clock, log } = this.#options
    const [ours, theirs] = bytePair()
    const conversation = new Conversation({
      client: theirs,
      upstream,
      limits: defaultProxyLimits,
      clock,
      log,
      onEnd: (error) => {
        if (error !== undefined) log.warn("union.ended", { upstream: upstream.name, reason: error.message })
      },
    })
    this.#conversation = conversation
    const forget = () => {
      if (this.#conversation !== conversation) return
      this.#conversation = undefined
      this.#client = undefined
      this.#roots.clear()
    }
    try {
      return await NinepClient.connect({
        ...who,
        link: ours,
        msize: defaultProxyLimits.msize,
        mostCalls: defaultProxyLimits.requests,
        onClose: forget,
      })
    } catch (error) {
      forget()
      conversation.close()
      throw error
    }
  }

  #makeRoom(): void {
    const { users = usualUsers } = this.#options
    for (const [key, root] of this.#roots) {
      if (this.#roots.size <= users) return
      this.#roots.delete(key)
      root.then(({ file }) => file.leave()).catch(() => undefined)
    }
  }
}
