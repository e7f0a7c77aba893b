/**
 * A server of an application in Node: the same application as in a tab, over Node's own SQLite, with its key in a file. It
 * answers on this machine's own address, and below its name at a relay when it is public.
 */

import type { UplinkEvent } from "./agent/uplink.ts"
import { systemClock } from "./base/clock.ts"
import { RdvError } from "./base/error.ts"
import type { JsonObject } from "./base/json.ts"
import type { Log } from "./base/log.ts"
import type { Stream } from "./base/stream.ts"
import type { TabApp } from "./capabilities/tab/app/app.ts"
import type { AppLog } from "./capabilities/tab/app/env.ts"
import type { PeerFacts, Peers } from "./capabilities/tab/app/peers.ts"
import type { SqliteEngine } from "./capabilities/tab/data/engine.ts"
import type { IdentityKey, PublicFacts } from "./capabilities/tab/identity/key-pair.ts"
import { proofTokens } from "./capabilities/tab/identity/proof-token.ts"
import { startLocalServer } from "./capabilities/tab/node/local-server.ts"
import type { LocalServer } from "./capabilities/tab/node/local-server.ts"
import { nodeRtc } from "./capabilities/tab/node/rtc.ts"
import type { KeptKeys } from "./capabilities/tab/peers/known-keys.ts"
import { openPeers } from "./capabilities/tab/peers/tab-peers.ts"
import type { TabPeers } from "./capabilities/tab/peers/tab-peers.ts"
import { offerServer } from "./capabilities/tab/serve/public-side.ts"
import type { PublicSideOptions } from "./capabilities/tab/serve/public-side.ts"
import { startServer } from "./capabilities/tab/serve/running-server.ts"
import type { RunningServer } from "./capabilities/tab/serve/running-server.ts"
import { nodeRuntime } from "./runtime.ts"
import { startAgent } from "./start-agent.ts"
import type { RunningAgent, StartAgentOptions } from "./start-agent.ts"

/** Where it is public, and as what. */
export interface PublicWish
  extends
    Pick<StartAgentOptions, "relay" | "dial" | "tokenInClear" | "connect">,
    Pick<PublicSideOptions, "onExposed" | "onDelayed" | "onRefused"> {
  readonly name: string
  /** Undefined: it shows a proof of its key. A token's servers call no peers. */
  readonly token: string | undefined
  /** The published application that lets its servers in; undefined: the relay is open. */
  readonly app: string | undefined
  /** The relay's: names are below it. */
  readonly domain: string
  /** `stun:host:port`, where the server learns how peers beyond its own network reach it. */
  readonly stun?: string
  readonly onEvent?: (event: UplinkEvent) => void
}

export interface StartTabOptions {
  /** Belongs to the server from here on, also when the start fails. */
  readonly engine: SqliteEngine
  readonly app: TabApp
  readonly pair: IdentityKey
  /** Undefined: the first free one from 8080 on. */
  readonly port: number | undefined
  /** Keys of peers, from one start to the next. */
  readonly keptKeys?: KeptKeys
  readonly public: PublicWish | undefined
  readonly log: Log
  readonly appLog: AppLog
}

export interface RunningTab {
  /** `http://localhost:8080/` */
  readonly url: string
  readonly running: RunningServer
  /** Its session to the relay; undefined: it is private. */
  readonly agent: RunningAgent | undefined
  status(): JsonObject
  /** Takes nothing new, lets what runs finish up to `graceMs`, closes the database. */
  stop(graceMs?: number): Promise<void>
}

/** Rejects with what the application's `start` throws, `in_use` for the port, and what the database does. */
export async function startTab(options: StartTabOptions): Promise<RunningTab> {
  const { engine, app, pair, port, log, appLog } = options
  const presence = new Presence(options)
  const running = await startServer({
    engine,
    app,
    pair,
    facts: presence,
    peers: presence,
    clock: systemClock,
    log,
    appLog,
  })
  let local: LocalServer
  try {
    local = await startLocalServer(running.server, port)
  } catch (error) {
    await running.close(0)
    throw error
  }
  const url = `http://localhost:${local.port}/`
  try {
    if (options.public !== undefined) presence.start(running, options.public)
  } catch (error) {
    await local.close()
    await running.close(0)
    throw error
  }
  return {
    url,
    running,
    agent: presence.agent,
    status: () => ({
      url,
      public: presence.url ?? null,
      name: presence.name ?? null,
      key: pair.key,
      epoch: running.epoch,
      server: running.server.status(),
      sql: running.sql.stats(),
      peers: presence.list().map((peer) => ({ ...peer })),
    }),
    async stop(graceMs = 0) {
      local.drain()
      // Together: visitors through the relay have streams that the server ends.
      await Promise.all([presence.stop(graceMs), running.server.drain(graceMs)])
      await local.close()
      await running.close(0)
    },
  }
}

/** Its place at a relay, and the way to others while it has one. */
class Presence implements PublicFacts, Peers {
  readonly #options: StartTabOptions
  #name: string | undefined
  #url: string | undefined
  #agent: RunningAgent | undefined
  #peers: TabPeers | undefined

  constructor(options: StartTabOptions) {
    this.#options = options
  }

  get name(): string | undefined {
    return this.#url === undefined ? undefined : this.#name
  }

  get url(): string | undefined {
    return this.#url
  }

  get agent(): RunningAgent | undefined {
    return this.#agent
  }

  list(): readonly PeerFacts[] {
    return this.#peers?.list() ?? []
  }

  async fetch(name: string, request: Request | string, init?: RequestInit): Promise<Response> {
    if (this.#peers === undefined) throw notPublic()
    return this.#peers.fetch(name, request, init)
  }

  /** Throws `usage` for an address that is none, or a token that would travel in clear. */
  start(running: RunningServer, wish: PublicWish): void {
    const { pair, log, keptKeys } = this.#options
    const { relay, dial, tokenInClear, connect, name, token, app = "any", domain, stun, onEvent } = wish
    const agent = startAgent({
      relay,
      token: token ?? proofTokens({ pair, app, domain, clock: systemClock }),
      instance: pair.key,
      log,
      ...(dial !== undefined && { dial }),
      ...(tokenInClear !== undefined && { tokenInClear }),
      ...(connect !== undefined && { connect }),
      ...(onEvent !== undefined && { onEvent }),
    })
    this.#name = name
    this.#agent = agent
    const peers = openPeers({
      call: (to, header) => this.#call(to, header),
      clock: systemClock,
      log,
      direct: {
        rtc: nodeRtc({ stun, log }),
        pair,
        ownName: () => this.name,
        server: running.server,
        runtime: nodeRuntime(log),
      },
      keptKeys,
    })
    this.#peers = peers
    agent.agent.report("http/tab", () => ({ target: "this process" }))
    offerServer(agent.agent, {
      server: running.server,
      name,
      epoch: running.epoch,
      peers,
      onExposed: (exposed) => {
        this.#url = exposed.url
        wish.onExposed?.(exposed)
      },
      onDelayed: (error, retryMs) => wish.onDelayed?.(error, retryMs),
      onRefused: (error) => {
        this.#url = undefined
        wish.onRefused?.(error)
      },
    })
  }

  async stop(graceMs: number): Promise<void> {
    await this.#agent?.stop(graceMs)
    this.#peers?.leave()
  }

  #call(name: string, header: JsonObject): Stream {
    if (this.#url === undefined || this.#agent === undefined) throw notPublic()
    return this.#agent.agent.dial("tab/call", { header: { name, header } })
  }
}

function notPublic(): RdvError {
  return new RdvError("closed", "This server is not public, and only public ones call others")
}
