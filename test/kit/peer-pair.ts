/** Servers that know each other by a relay of a few lines, and perhaps by a network for direct ways (`rtc-net.ts`). */

import { systemClock } from "../../src/base/clock.ts"
import type { Clock } from "../../src/base/clock.ts"
import { asRdvError, RdvError } from "../../src/base/error.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Stream } from "../../src/base/stream.ts"
import type { TabApp } from "../../src/capabilities/tab/app/app.ts"
import type { PeerFacts } from "../../src/capabilities/tab/app/peers.ts"
import type { IdentityKey } from "../../src/capabilities/tab/identity/key-pair.ts"
import type { KeptKeys } from "../../src/capabilities/tab/peers/known-keys.ts"
import type { RtcFactory } from "../../src/capabilities/tab/peers/rtc.ts"
import { openPeers } from "../../src/capabilities/tab/peers/tab-peers.ts"
import type { TabPeers } from "../../src/capabilities/tab/peers/tab-peers.ts"
import type { TabServer } from "../../src/capabilities/tab/serve/tab-server.ts"
import { eventually } from "./raw-http.ts"
import { servedApp } from "./served-app.ts"
import type { LoggedLine } from "./served-app.ts"
import { testRuntime } from "./session-pair.ts"
import { streamPair } from "./stream-pair.ts"
import { newKey } from "./tab-relay.ts"

export interface TestPeer {
  readonly name: string
  readonly pair: IdentityKey
  readonly peers: TabPeers
  readonly server: TabServer
  readonly lines: LoggedLine[]
  /** How `other` is reached now. */
  facts(other: TestPeer): PeerFacts | undefined
  isDirectTo(other: TestPeer): Promise<void>
}

export interface TestPeerOptions {
  readonly name: string
  readonly app: TabApp
  readonly pair?: IdentityKey
  readonly rtc?: RtcFactory
  readonly keptKeys?: KeptKeys
  readonly clock?: Clock
}

/** What the relay makes of a block on its way, or of the header of a call. */
export type Tamper = (block: JsonObject, from: string, to: string) => JsonObject

export class TestPeers {
  readonly #all = new Map<string, TestPeer>()
  /** Calls that came through, in order. */
  readonly calls: { readonly from: string; readonly to: string; readonly kind: unknown }[] = []
  tamper: Tamper = (block) => block
  /** What the relay says whose key it is. */
  keyOf: (peer: TestPeer) => string = ({ pair }) => pair.key
  /** Nobody reaches anybody. */
  isDown = false

  async add({ name, app, pair, rtc, keptKeys, clock = systemClock }: TestPeerOptions): Promise<TestPeer> {
    const own = pair ?? (await newKey())
    const { server, lines, pair: unused } = servedApp(app)
    unused.close()
    const log = logInto(lines)
    const peers = openPeers({
      call: (to, header) => this.#call(name, to, header),
      clock,
      log,
      direct: rtc && {
        rtc,
        pair: own,
        ownName: () => (this.#all.get(name) === peer ? name : undefined),
        server,
        runtime: { ...testRuntime, log, clock },
      },
      keptKeys,
    })
    const peer: TestPeer = {
      name,
      pair: own,
      peers,
      server,
      lines,
      facts: (other) => peers.list().find((each) => each.name === other.name),
      isDirectTo: (other) =>
        eventually(`${name} talks to ${other.name} directly`, () => peer.facts(other)?.path === "direct"),
    }
    this.#all.set(name, peer)
    return peer
  }

  /** All direct ways end. */
  leave(): void {
    for (const { peers } of this.#all.values()) peers.leave()
  }

  #call(from: string, to: string, header: JsonObject): Stream {
    const [caller, callee] = [this.#all.get(from), this.#all.get(to)]
    if (caller === undefined) throw new RdvError("closed")
    this.calls.push({ from, to, kind: header["kind"] })
    const said = { from, key: this.keyOf(caller), header: this.tamper(header, from, to) }
    const { a, b } = streamPair("tab/peer", said)
    const near = this.#watched(a, to, from)
    const far = this.#watched(b, from, to)
    if (this.isDown || callee === undefined) far.reset("unreachable", `"${to}" is not there`)
    else {
      try {
        callee.peers.serve(far, callee.server)
      } catch (thrown) {
        const { code, message } = asRdvError(thrown)
        far.reset(code, message)
      }
    }
    return near
  }

  /** Blocks that are heard at this end have gone through the relay. */
  #watched(stream: Stream, from: string, to: string): Stream {
    return new Proxy(stream, {
      get: (target, property) => {
        if (property === "attach") {
          return (sink: Parameters<Stream["attach"]>[0]) =>
            target.attach({
              data: (chunk) => sink.data(chunk),
              meta: (block) => sink.meta(this.tamper(block, from, to)),
              end: () => sink.end(),
              drain: () => sink.drain(),
              closed: (error) => sink.closed(error),
            })
        }
        const value = Reflect.get(target, property, target) as unknown
        return typeof value === "function" ? (value as (...words: unknown[]) => unknown).bind(target) : value
      },
    })
  }
}

function logInto(lines: LoggedLine[]): typeof testRuntime.log {
  const note =
    (level: string) =>
    (event: string, fields: LoggedLine["fields"] = {}) =>
      void lines.push({ level, event, fields })
  const log: typeof testRuntime.log = {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    with: () => log,
  }
  return log
}
