/**
 * Requests between servers, by name. Every one is a stream that the relay couples (docs/protocol.md, section 9.8), which
 * tells both sides whose key and name the other one has.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream } from "../../../base/stream.ts"
import type { PeerCaller, PeerFacts, Peers } from "../app/peers.ts"
import { isIdentityKeyText } from "../identity/key-pair.ts"
import { serveExchange } from "../serve/exchange.ts"
import { fetchOver } from "../serve/fetch-over.ts"
import type { TabServer } from "../serve/tab-server.ts"

export interface TabPeersOptions {
  /** Opens a stream to the server of that name through the relay. Throws `closed` while we have no name ourselves. */
  readonly call: (name: string, header: JsonObject) => Stream
  readonly clock: Clock
  readonly log: Log
}

export interface TabPeers extends Peers {
  /** Serves a stream of `tab/peer`. */
  serve(stream: Stream, server: TabServer): void
}

export function openPeers(options: TabPeersOptions): TabPeers {
  return new RelayedPeers(options)
}

class RelayedPeers implements TabPeers {
  readonly #options: TabPeersOptions
  /** The one that we had to do with last comes last. */
  readonly #known = new Map<string, PeerFacts>()

  constructor(options: TabPeersOptions) {
    this.#options = options
  }

  async fetch(name: string, request: Request | string, init?: RequestInit): Promise<Response> {
    const wanted = new Request(typeof request === "string" ? new URL(request, `http://${name}/`) : request, init)
    this.#met(name)
    return fetchOver((head) => this.#options.call(name, { kind: "http", head }), wanted)
  }

  list(): readonly PeerFacts[] {
    return [...this.#known.values()].toReversed()
  }

  serve(stream: Stream, server: TabServer): void {
    const { caller, header } = readPeerCall(stream.header)
    this.#met(caller.name)
    const head = header["head"]
    if (header["kind"] !== "http" || !isJsonObject(head)) {
      throw new RdvError("no_service", "This server answers requests alone")
    }
    serveExchange(stream, server, { kind: "peer", peer: caller }, head)
  }

  #met(name: string): void {
    this.#known.delete(name)
    this.#known.set(name, { name, path: "relay", rttMs: undefined })
    if (this.#known.size <= mostKnown) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      return
    }
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

const mostKnown = 256
