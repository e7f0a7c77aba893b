/**
 * All direct ways of a server: one for each peer, a bounded number of them, and none that nobody uses. Peers without one
 * are reached through the relay, as everybody is at first.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { SessionRuntime } from "../../../mux/session-options.ts"
import type { PeerCaller } from "../app/peers.ts"
import type { IdentityKey } from "../identity/key-pair.ts"
import { serveExchange } from "../serve/exchange.ts"
import type { TabServer } from "../serve/tab-server.ts"
import { DirectWay } from "./direct-way.ts"
import type { KnownKeys } from "./known-keys.ts"
import type { RtcFactory } from "./rtc.ts"

export interface DirectOptions {
  readonly rtc: RtcFactory
  readonly pair: IdentityKey
  /** Undefined while the server is not public. */
  readonly ownName: () => string | undefined
  /** Answers what peers ask. */
  readonly server: TabServer
  readonly runtime: SessionRuntime
}

export interface DirectWaysOptions extends DirectOptions {
  /** Opens a stream to a peer through the relay. */
  readonly call: (name: string, header: JsonObject) => Stream
  readonly keys: KnownKeys
}

export class DirectWays {
  readonly #options: DirectWaysOptions
  readonly #clock: Clock
  readonly #ways = new Map<string, DirectWay>()
  #look: Timer | undefined

  constructor(options: DirectWaysOptions) {
    this.#options = options
    this.#clock = options.runtime.clock
  }

  get(name: string): DirectWay | undefined {
    return this.#ways.get(name)
  }

  /** Makes one while there is room. Undefined: the relay it is. */
  want(name: string): DirectWay | undefined {
    if (name === this.#options.ownName()) return undefined
    const way = this.#way(name)
    way?.want()
    return way
  }

  /** A peer's stream of the kind `signal`. Throws why not. */
  serve(stream: Stream, { name, key }: PeerCaller, header: JsonObject): void {
    const way = this.#way(name)
    if (way === undefined) throw new RdvError("limit", `This server has ${mostWays} direct ways, all of them in use`)
    way.serve(stream, key, header)
  }

  /** All of them; later ones may be made. */
  close(): void {
    this.#look?.cancel()
    this.#look = undefined
    for (const way of this.#ways.values()) way.close()
    this.#ways.clear()
  }

  #way(name: string): DirectWay | undefined {
    const known = this.#ways.get(name)
    if (known !== undefined) return known
    if (this.#ways.size >= mostWays) {
      const [oldest] = [...this.#ways.values()]
        .filter(({ isIdle }) => isIdle)
        .toSorted((one, other) => one.usedAt - other.usedAt)
      if (oldest === undefined) return undefined
      this.#drop(oldest)
    }
    const { pair, ownName, call, rtc, runtime, keys, server } = this.#options
    const way = new DirectWay({
      name,
      pair,
      ownName,
      call: (header) => call(name, header),
      rtc,
      runtime,
      keys,
      onStream: (stream, key) => {
        const { kind, head } = stream.header
        if (stream.service !== "tab/peer" || kind !== "http" || !isJsonObject(head)) stream.reset("no_service")
        else serveExchange(stream, server, { kind: "peer", peer: { name, key } }, head)
      },
    })
    this.#ways.set(name, way)
    this.#look ??= this.#clock.after(idleMs / 4, () => this.#lookForIdle())
    return way
  }

  #lookForIdle(): void {
    const before = this.#clock.now() - idleMs
    for (const way of this.#ways.values()) if (way.isIdle && way.usedAt < before) this.#drop(way)
    this.#look = this.#ways.size === 0 ? undefined : this.#clock.after(idleMs / 4, () => this.#lookForIdle())
  }

  #drop(way: DirectWay): void {
    this.#ways.delete(way.name)
    way.close()
  }
}

const mostWays = 16
const idleMs: number = 5 * 60_000
