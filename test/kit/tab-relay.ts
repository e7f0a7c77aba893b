/** A relay with tabs on loopback, servers that come with a key as tabs do, and publishers. */

import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import * as http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import type { UplinkEvent } from "../../src/agent/uplink.ts"
import { RdvError } from "../../src/base/error.ts"
import type { JsonObject } from "../../src/base/json.ts"
import { silentLog } from "../../src/base/log.ts"
import type { Stream } from "../../src/base/stream.ts"
import { identityKeyFrom, newIdentityPkcs8 } from "../../src/capabilities/tab/identity/key-pair.ts"
import type { IdentityKey } from "../../src/capabilities/tab/identity/key-pair.ts"
import { proofTokens } from "../../src/capabilities/tab/identity/proof-token.ts"
import type { TabService } from "../../src/capabilities/tab/relay/tab-service.ts"
import type { Call, Exposed } from "../../src/host/host.ts"
import { startAgent, startRelay } from "../../src/node.ts"
import type { RelayLimits, RunningAgent, RunningRelay } from "../../src/node.ts"
import { systemClock } from "../../src/base/clock.ts"
import { startTabRelay } from "../../src/start-tab-relay.ts"
import type { StartTabRelayOptions } from "../../src/start-tab-relay.ts"
import type { Link } from "../../src/mux/link.ts"
import { parseAddress } from "../../src/transport/address.ts"
import { dial } from "../../src/transport/dial.ts"
import { eventually } from "./raw-http.ts"

export interface TabRelay {
  readonly running: RunningRelay
  readonly tabs: TabService
  readonly port: number
  readonly at: string
  readonly folder: string
}

export interface TabRelayOptions {
  readonly tabs?: Partial<StartTabRelayOptions>
  readonly limits?: Partial<RelayLimits>
  readonly open?: boolean
  readonly folder?: string
  readonly store?: string
}

export async function tabRelay(t: TestContext, options: TabRelayOptions = {}): Promise<TabRelay> {
  const folder = options.folder ?? temporary(t)
  const running = await startRelay({
    listen: ["127.0.0.1:0"],
    store: options.store ?? ":memory:",
    open: options.open ?? true,
    log: silentLog,
    ...(options.limits !== undefined && { limits: options.limits }),
  })
  t.after(() => running.stop())
  const [address] = running.addresses
  if (address === undefined || !("port" in address)) throw new Error("The relay has no port")
  const { port } = address
  const tabs = await startTabRelay(running, {
    url: `http://127.0.0.1:${port}`,
    domain: "localhost",
    folder: join(folder, "tab-apps"),
    open: options.open ?? true,
    publishers: "anybody",
    ...options.tabs,
  })
  return { running, tabs, port, at: `127.0.0.1:${port}`, folder }
}

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rdv-tabs-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export async function newKey(): Promise<IdentityKey> {
  return identityKeyFrom(await newIdentityPkcs8())
}

export interface ServerOptions {
  readonly pair: IdentityKey
  readonly name: string
  readonly epoch: number
  readonly app?: string
  readonly domain?: string
  /** Makes the token in place of a proof by this key. */
  readonly token?: string | ((refusal: RdvError | undefined) => Promise<string>)
  readonly instance?: string
  /** Answers a request: the text of a 200, or nothing for now. */
  readonly serve?: (head: JsonObject, stream: Stream, body: string) => string | undefined
  readonly onPeer?: (call: Call) => void
}

/** What a tab is to a relay. */
export class TestServer {
  readonly running: RunningAgent
  readonly events: UplinkEvent[] = []
  readonly served: JsonObject[] = []
  exposed: Exposed | undefined
  refused: RdvError | undefined
  delayed: RdvError | undefined
  #link: Link | undefined
  #isGone = false

  constructor(t: TestContext, relay: string, options: ServerOptions) {
    const { pair, name, epoch, app = "any", domain = "localhost", instance, onPeer } = options
    const token = options.token ?? proofTokens({ pair, app, domain, clock: systemClock })
    this.running = startAgent({
      relay,
      token,
      ...(instance !== undefined && { instance }),
      connect: async (signal) => {
        if (this.#isGone) throw new RdvError("unreachable", "The tab was closed")
        return (this.#link = await dial(parseAddress(relay, "tcp"), { timeoutMs: 5_000, signal }))
      },
      log: silentLog,
      onEvent: (event) => this.events.push(event),
    })
    t.after(() => this.running.stop())
    const { agent } = this.running
    agent.accept("http/tab", ({ stream, header }) => this.#serve(stream, header, options), {
      expose: { kind: "http", name, epoch },
      onExposed: (exposed) => (this.exposed = exposed),
      onRefused: (error) => (this.refused = error as RdvError),
      onDelayed: (error) => (this.delayed = error as RdvError),
    })
    if (onPeer !== undefined) agent.accept("tab/peer", onPeer)
  }

  #serve(stream: Stream, header: JsonObject, { serve = () => "hello" }: ServerOptions): void {
    this.served.push(header)
    let body = ""
    stream.attach({
      data(chunk) {
        body += Buffer.from(chunk).toString()
        stream.consumed(chunk.length)
      },
      meta: () => undefined,
      end() {
        const text = serve(header, stream, body)
        if (text === undefined) return
        stream.meta({ status: 200, reason: "OK", headers: ["Content-Length", String(Buffer.byteLength(text))] })
        stream.write(Buffer.from(text))
        stream.end()
      },
      drain: () => undefined,
      closed: () => undefined,
    })
  }

  async isPublic(): Promise<this> {
    await eventually("the server is public", () => this.exposed !== undefined)
    return this
  }

  /** How the relay refused it. */
  async refusal(): Promise<RdvError> {
    const failed = () => this.events.find(({ kind }) => kind === "failed" || kind === "retry")
    await eventually(
      "a refusal",
      () => this.refused !== undefined || this.delayed !== undefined || failed() !== undefined,
    )
    return this.refused ?? this.delayed ?? (failed() as { error: RdvError }).error
  }

  /** As a worker that ends: its socket is gone without a word, and nobody comes back for the session. */
  abandon(): void {
    this.#isGone = true
    this.#link?.abort(new RdvError("link_lost"))
  }
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
}

/** One request to a host name of the relay. */
export function fetchAt(
  port: number,
  host: string,
  path = "/",
  options: { readonly method?: string; readonly headers?: http.OutgoingHttpHeaders; readonly body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = "GET", headers = {}, body } = options
    const request = http.request(
      { host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: false },
      (response) => {
        const parts: Buffer[] = []
        response.on("data", (part: Buffer) => parts.push(part))
        response.on("error", reject)
        response.on("end", () => {
          const all = Buffer.concat(parts)
          const { statusCode = 0, headers: got } = response
          resolve({ status: statusCode, headers: got, body: all, text: all.toString() })
        })
      },
    )
    request.on("error", reject)
    request.end(body)
  })
}

export interface PublishedPart {
  readonly path: string
  readonly content: string | Uint8Array
  /** What is said of it, in place of the truth. */
  readonly lie?: JsonObject
}

/** Publishes, and tells how that ended. */
export async function publish(
  agent: RunningAgent,
  app: string,
  parts: readonly PublishedPart[],
  lie: JsonObject = {},
): Promise<JsonObject> {
  const contents = parts.map(({ content }) => Buffer.from(content as string))
  const bytes = contents.reduce((sum, content) => sum + content.length, 0)
  const header = { app, files: parts.length, bytes, ...lie }
  return ask(agent, "tab/publish", header, (stream) => {
    for (const [index, { path, lie: other }] of parts.entries()) {
      const content = contents[index] as Buffer
      const sha256 = createHash("sha256").update(content).digest("hex")
      stream.meta({ path, bytes: content.length, sha256, ...other })
      stream.write(content)
    }
  })
}

/** Opens a stream, says something, ends it: the first metadata block, or rejects with how it was reset. */
export async function ask(
  { agent }: RunningAgent,
  service: string,
  header: JsonObject,
  say: (stream: Stream) => void = () => undefined,
): Promise<JsonObject> {
  await eventually("a session", () => (agent.status()["session"] as JsonObject | null)?.["state"] === "live")
  return new Promise((resolve, reject) => {
    const stream = agent.dial(service, { header })
    let answer: JsonObject | undefined
    stream.attach({
      data: (chunk) => stream.consumed(chunk.length),
      meta: (block) => (answer ??= block),
      end: () => undefined,
      drain: () => undefined,
      closed(error) {
        if (error !== undefined) reject(error)
        else if (answer === undefined) reject(new RdvError("protocol", "It ended without an answer"))
        else resolve(answer)
      },
    })
    say(stream)
    stream.end()
  })
}

/** An agent without a key: a publisher, or a thief. */
export function plainAgent(
  t: TestContext,
  relay: string,
  options: { token?: string; instance?: string } = {},
): RunningAgent {
  const running = startAgent({ relay, instance: "publisher", log: silentLog, ...options })
  t.after(() => running.stop())
  return running
}
