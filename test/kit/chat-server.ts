/** A server of the chat example in this process, on a file, at a relay. */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { systemClock } from "../../src/base/clock.ts"
import { RdvError } from "../../src/base/error.ts"
import { silentLog } from "../../src/base/log.ts"
import type { TabApp } from "../../src/capabilities/tab/app/app.ts"
import type { AppLog } from "../../src/capabilities/tab/app/env.ts"
import type { Visitor } from "../../src/capabilities/tab/app/visitor.ts"
import type { IdentityKey } from "../../src/capabilities/tab/identity/key-pair.ts"
import { proofTokens } from "../../src/capabilities/tab/identity/proof-token.ts"
import { openNodeEngine } from "../../src/capabilities/tab/node/sqlite-engine.ts"
import { openPeers } from "../../src/capabilities/tab/peers/tab-peers.ts"
import type { TabPeers } from "../../src/capabilities/tab/peers/tab-peers.ts"
import { offerServer } from "../../src/capabilities/tab/serve/public-side.ts"
import { startServer } from "../../src/capabilities/tab/serve/running-server.ts"
import type { RunningServer } from "../../src/capabilities/tab/serve/running-server.ts"
import { startAgent } from "../../src/node.ts"
import type { RunningAgent } from "../../src/node.ts"
import { eventually } from "./raw-http.ts"
import { newKey } from "./tab-relay.ts"

export interface ChatServerOptions {
  readonly name: string
  readonly relay: string
  /** Those of a server that was there before: it goes on. */
  readonly pair?: IdentityKey
  readonly file?: string
}

export interface ChatServer {
  readonly name: string
  readonly pair: IdentityKey
  readonly file: string
  readonly running: RunningServer
  readonly peers: TabPeers
  /** What it logged. */
  readonly lines: readonly string[]
  fetch(path: string, init?: RequestInit, visitor?: Visitor): Promise<Response>
  /** As its owner's page; the text of the answer. */
  get(path: string): Promise<string>
  /** A form of the owner: where it leads. Rejects with the text of a refusal. */
  post(path: string, fields: { readonly [name: string]: string }): Promise<string>
  goPublic(): Promise<void>
  /** In good order; its file stays. */
  stop(): Promise<void>
}

export async function chatServer(t: TestContext, options: ChatServerOptions): Promise<ChatServer> {
  const { name, relay } = options
  const file = options.file ?? join(temporary(t), "chat.db")
  const pair = options.pair ?? (await newKey())
  const facts: { name: string | undefined; url: string | undefined } = { name: undefined, url: undefined }
  const lines: string[] = []
  let agent: RunningAgent | undefined
  const peers = openPeers({
    call(to, header) {
      if (agent === undefined || facts.name === undefined) throw new RdvError("closed", "This server is not public")
      return agent.agent.dial("tab/call", { header: { name: to, header } })
    },
    clock: systemClock,
    log: silentLog,
  })
  const running = await startServer({
    engine: openNodeEngine(file),
    app: await newChat(),
    pair,
    facts,
    peers,
    clock: systemClock,
    log: { ...silentLog, error: (event, fields) => void lines.push(`${event} ${JSON.stringify(fields)}`) },
    appLog: keepingLog(lines),
  })
  let hasEnded = false
  const server: ChatServer = {
    name,
    pair,
    file,
    running,
    peers,
    lines,
    fetch: (path, init, visitor = { kind: "own" }) =>
      running.server.fetch(new Request(new URL(path, `http://${name}.localhost`), init), visitor),
    async get(path) {
      return (await server.fetch(path)).text()
    },
    async post(path, fields) {
      const answer = await server.fetch(path, { method: "POST", body: new URLSearchParams(fields) })
      if (answer.status >= 400) throw new Error(`${answer.status} ${await answer.text()}`)
      return answer.headers.get("location") ?? ""
    },
    async goPublic() {
      agent = startAgent({
        relay,
        token: proofTokens({ pair, app: "any", domain: "localhost", clock: systemClock }),
        instance: pair.key,
        log: silentLog,
      })
      offerServer(agent.agent, {
        server: running.server,
        name,
        epoch: running.epoch,
        peers,
        onExposed: ({ url }) => {
          facts.name = name
          facts.url = url
        },
        onRefused: (error) => void lines.push(`refused ${String(error)}`),
      })
      await eventually(`${name} is public`, () => facts.url !== undefined)
      await server.fetch("/status", { method: "POST" })
    },
    async stop() {
      if (hasEnded) return
      hasEnded = true
      facts.name = undefined
      await agent?.stop()
      await running.close(1_000)
    },
  }
  t.after(() => server.stop())
  return server
}

/** Examples are compiled with the types of the web alone, and therefore not from here. */
async function newChat(): Promise<TabApp> {
  const { href } = new URL("../../examples/chat/app.ts", import.meta.url)
  const { createChat } = (await import(href)) as { createChat: () => TabApp }
  return createChat()
}

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rdv-chat-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function keepingLog(lines: string[]): AppLog {
  const note =
    (level: string) =>
    (text: string, fields: object = {}) =>
      void lines.push(`${level} ${text} ${JSON.stringify(fields)}`)
  return { debug: () => undefined, info: note("info"), warn: note("warn"), error: note("error") }
}
