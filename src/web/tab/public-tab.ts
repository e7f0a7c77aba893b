/**
 * The server's place at a relay: a session that proves its key anew each time, and one public name. Nothing here begins by
 * itself but what the user has asked for before.
 */

import { Agent } from "../../agent/agent.ts"
import { systemClock } from "../../base/clock.ts"
import { asRdvError, RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import type { Log } from "../../base/log.ts"
import { createScope } from "../../base/scope.ts"
import type { Scope } from "../../base/scope.ts"
import type { Stream } from "../../base/stream.ts"
import type { IdentityKey, PublicFacts } from "../../capabilities/tab/identity/key-pair.ts"
import { proofTokens } from "../../capabilities/tab/identity/proof-token.ts"
import { openPeers } from "../../capabilities/tab/peers/tab-peers.ts"
import type { TabPeers } from "../../capabilities/tab/peers/tab-peers.ts"
import { offerServer } from "../../capabilities/tab/serve/public-side.ts"
import type { RunningServer } from "../../capabilities/tab/serve/running-server.ts"
import { defaultLimits } from "../../mux/limits.ts"
import { parseAddress } from "../../transport/address.ts"
import { dialWebSocket } from "../../transport/ws.ts"
import { browserRuntime } from "../browser-runtime.ts"
import type { RtcNews, RtcOrder } from "./rtc-page.ts"
import { RtcWorker } from "./rtc-worker.ts"
import { keptPeerKeys } from "./stored-facts.ts"
import type { TabPlace } from "./tab-place.ts"

export interface PublicTabOptions {
  readonly place: TabPlace
  readonly pair: IdentityKey
  readonly running: RunningServer
  readonly log: Log
  /** To the page. */
  readonly orderRtc: (order: RtcOrder) => void
}

/** At a relay, or on the way to it. */
interface Presence {
  readonly scope: Scope
  readonly agent: Agent
  readonly name: string
  url: string | undefined
  /** Why it is not there, as far as the relay has said. */
  trouble: RdvError | undefined
}

export class PublicTab implements PublicFacts {
  readonly peers: TabPeers
  readonly #options: PublicTabOptions
  readonly #rtc: RtcWorker
  #presence: Presence | undefined

  constructor(options: PublicTabOptions) {
    this.#options = options
    const { place, pair, running, log, orderRtc } = options
    this.#rtc = new RtcWorker({ order: orderRtc, stun: place.stun })
    this.peers = openPeers({
      call: (name, header) => this.#call(name, header),
      clock: systemClock,
      log,
      direct: {
        rtc: this.#rtc,
        pair,
        ownName: () => this.name,
        server: running.server,
        runtime: browserRuntime(log),
      },
      keptKeys: keptPeerKeys,
    })
  }

  /** From the page. */
  hearRtc(news: unknown): void {
    this.#rtc.hear(news as RtcNews)
  }

  get name(): string | undefined {
    return this.#presence?.url === undefined ? undefined : this.#presence.name
  }

  get url(): string | undefined {
    return this.#presence?.url
  }

  /** For the status page; null: it is private. */
  status(): JsonObject | null {
    if (this.#presence === undefined) return null
    const { agent, name, url, trouble } = this.#presence
    return { name, url: url ?? null, trouble: trouble?.message ?? null, agent: agent.status() }
  }

  /**
   * Resolves with the address when the relay has bound the name. Rejects what the relay says against it, and `timeout` when
   * it says nothing: it goes on trying until `stop`.
   */
  start(name: string): Promise<string> {
    const { place, pair, running, log } = this.#options
    const { relay, app, domain } = place
    if (relay === null || domain === null) {
      throw new RdvError("usage", "This application was built without a relay to go public at", {
        mend: "build it with --relay, or publish it at one",
      })
    }
    if (!running.sql.isDurable) {
      throw new RdvError("forbidden", "This browser keeps nothing here, and what may vanish is not made public", {
        mend: "leave the private window",
      })
    }
    this.stop()
    return new Promise((resolve, reject) => {
      const scope = createScope({
        name: "tab",
        clock: systemClock,
        onFailure: (_scope, task, error) => log.error("tab.task_failed", { task, reason: asRdvError(error).message }),
      })
      const address = parseAddress(relay)
      const late = systemClock.after(answerMs, () => reject(presence.trouble ?? unanswered(relay)))
      const agent = new Agent({
        scope,
        runtime: browserRuntime(log),
        limits: defaultLimits,
        dial: (signal) => dialWebSocket(address, { timeoutMs: dialMs, signal }),
        relay,
        token: proofTokens({ pair, app: app ?? "any", domain, clock: systemClock }),
        agent: "rdv tab",
        instance: pair.key,
        onEvent: (event) => {
          if (event.kind === "up") presence.trouble = undefined
          else if (event.kind !== "draining") presence.trouble = event.error
          if (event.kind === "failed") fail(event.error)
        },
      })
      const fail = (error: RdvError) => {
        late.cancel()
        presence.trouble = error
        presence.url = undefined
        reject(error)
      }
      const presence: Presence = { scope, agent, name, url: undefined, trouble: undefined }
      this.#presence = presence
      offerServer(agent, {
        server: running.server,
        name,
        epoch: running.epoch,
        peers: this.peers,
        onExposed: ({ url }) => {
          late.cancel()
          presence.url = url
          presence.trouble = undefined
          resolve(url)
        },
        onDelayed: (error) => (presence.trouble = asRdvError(error)),
        onRefused: (error) => fail(asRdvError(error)),
      })
      agent.start()
    })
  }

  /** Leaves the relay. The name stays the key's. */
  stop(): void {
    const presence = this.#presence
    this.#presence = undefined
    this.peers.leave()
    void presence?.scope.stop()
  }

  /** Opens a stream to another server through the relay. Throws `closed` while this one has no name, `unreachable` while it has no session. */
  #call(name: string, header: JsonObject): Stream {
    if (this.#presence?.url === undefined) {
      throw new RdvError("closed", "This server is not public, and only public ones call others")
    }
    return this.#presence.agent.dial("tab/call", { header: { name, header } })
  }
}

function unanswered(relay: string): RdvError {
  return new RdvError("timeout", `The relay ${relay} has not answered yet: it is asked again and again`)
}

const dialMs = 10_000
const answerMs = 15_000
