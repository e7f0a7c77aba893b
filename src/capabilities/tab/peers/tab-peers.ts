/**
 * Requests between servers, by name. Every one is a stream that the relay couples (docs/protocol.md, section 9.8), which
 * tells both sides whose key and name the other one has; or, once there is a direct way (9.9), a stream of the session there.
 */

import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream } from "../../../base/stream.ts"
import type { PeerCaller, PeerFacts, Peers } from "../app/peers.ts"
import { isIdentityKeyText } from "../identity/key-pair.ts"
import { serveExchange } from "../serve/exchange.ts"
import { fetchOver } from "../serve/fetch-over.ts"
import type { TabServer } from "../serve/tab-server.ts"
import type { DirectWay } from "./direct-way.ts"
import { DirectWays } from "./direct-ways.ts"
import type { DirectOptions } from "./direct-ways.ts"
import { KnownKeys } from "./known-keys.ts"
import type { KeptKeys } from "./known-keys.ts"
import { repeatable } from "./repeatable-request.ts"

export interface TabPeersOptions {
  /** Opens a stream to the server of that name through the relay. Throws `closed` while we have no name ourselves. */
  readonly call: (name: string, header: JsonObject) => Stream
  readonly clock: Clock
  readonly log: Log
  /** Without it the relay is the only way. */
  readonly direct?: DirectOptions | undefined
  readonly keptKeys?: KeptKeys | undefined
}

export interface TabPeers extends Peers {
  /** Serves a stream of `tab/peer`. Throws what to refuse it with. */
  serve(stream: Stream, server: TabServer): void
  /** Ends all direct ways and what runs over them; others may be made later. */
  leave(): void
}

export function openPeers(options: TabPeersOptions): TabPeers {
  return new NamedPeers(options)
}

class NamedPeers implements TabPeers {
  readonly #options: TabPeersOptions
  readonly #keys: KnownKeys
  readonly #ways: DirectWays | undefined
  /** The one that we had to do with last comes last. */
  readonly #met = new Set<string>()

  constructor(options: TabPeersOptions) {
    this.#options = options
    const { call, direct, log, keptKeys } = options
    this.#keys = new KnownKeys({ log, kept: keptKeys })
    this.#ways = direct && new DirectWays({ ...direct, call, keys: this.#keys })
  }

  async fetch(name: string, request: Request | string, init?: RequestInit): Promise<Response> {
    const wanted = new Request(typeof request === "string" ? new URL(request, `http://${name}/`) : request, init)
    this.#meet(name)
    const way = this.#ways?.want(name)
    return way?.isReady === true ? this.#fetchDirectly(way, wanted) : this.#fetchByRelay(name, wanted)
  }

  list(): readonly PeerFacts[] {
    return [...this.#met].toReversed().map((name) => {
      const way = this.#ways?.get(name)
      const known = this.#keys.get(name)
      const path = way?.isReady === true ? "direct" : "relay"
      const { rttMs, trouble } = way ?? {}
      return { name, path, rttMs, trouble, key: known?.key, formerKey: known?.former }
    })
  }

  serve(stream: Stream, server: TabServer): void {
    const { caller, header } = readPeerCall(stream.header)
    this.#meet(caller.name)
    void this.#keys.meet(caller.name, caller.key)
    const { kind, head } = header
    if (kind === "signal" && this.#ways !== undefined) this.#ways.serve(stream, caller, header)
    else if (kind === "http" && isJsonObject(head)) serveExchange(stream, server, { kind: "peer", peer: caller }, head)
    else throw new RdvError("no_service", "This server answers requests alone")
  }

  leave(): void {
    this.#ways?.close()
  }

  #fetchByRelay(name: string, request: Request): Promise<Response> {
    return fetchOver((head) => this.#options.call(name, { kind: "http", head }), request)
  }

  /** What the way loses with its session is asked for by the relay, if that does no harm. */
  async #fetchDirectly(way: DirectWay, request: Request): Promise<Response> {
    const { first, again } = await repeatable(request)
    // Reading a body may have taken long.
    if (!way.isReady) return this.#fetchByRelay(way.name, first)
    const session = way.session
    try {
      return await fetchOver((head) => session.open("tab/peer", { kind: "http", head }), first)
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (session.state !== "closed" || first.signal.aborted) throw error
      if (again !== undefined) return this.#fetchByRelay(way.name, again())
      const text = `The direct way to "${way.name}" was lost, and the request may have run: ${error.message}`
      throw new RdvError("link_lost", text, { cause: error })
    }
  }

  #meet(name: string): void {
    this.#met.delete(name)
    this.#met.add(name)
    if (this.#met.size > mostMet) this.#met.delete(this.#met.values().next().value as string)
  }
}

/** Reads the header of `tab/peer`, which the relay has written. Throws `protocol`. */
export function readPeerCall(json: JsonObject): { readonly caller: PeerCaller; readonly header: JsonObject } {
  const { from, key, header } = json
  if (typeof from !== "string" || from.length > 63 || typeof key !== "string" || !isIdentityKeyText(key)) {
    throw new RdvError("protocol", "A call from a peer does not say whose it is")
  }
  if (!isJsonObject(header)) throw new RdvError("protocol", "A call from a peer has no header")
  return { caller: { name: from, key }, header }
}

const mostMet = 256
