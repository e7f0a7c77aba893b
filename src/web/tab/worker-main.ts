/**
 * The server of this origin: what the worker with the lock loads. It opens the database, starts the application, serves the
 * ports of pages and service worker, and keeps the session to the relay.
 */

import { delay, systemClock } from "../../base/clock.ts"
import { asRdvError, RdvError } from "../../base/error.ts"
import type { TabApp } from "../../capabilities/tab/app/app.ts"
import type { SqliteEngine } from "../../capabilities/tab/data/engine.ts"
import { openPeers } from "../../capabilities/tab/peers/tab-peers.ts"
import type { TabPeers } from "../../capabilities/tab/peers/tab-peers.ts"
import { startServer } from "../../capabilities/tab/serve/running-server.ts"
import type { RunningServer } from "../../capabilities/tab/serve/running-server.ts"
import { consoleAppLog, consoleLog } from "./console-log.ts"
import type { Control, FromWorker, ToWorker } from "./messages.ts"
import { PortServer } from "./port-server.ts"
import { PublicTab } from "./public-tab.ts"
import type { TabPlace } from "./public-tab.ts"
import type { RuntimeFiles } from "./runtime-files.ts"
import { keepPublicWish, publicWish, storedIdentity } from "./stored-facts.ts"
import { tabControl } from "./tab-control.ts"
import { troubleOf } from "./trouble.ts"

export interface LeadOptions {
  readonly runtime: RuntimeFiles
  readonly say: (message: FromWorker) => void
  /** It serves no more: the lock may go. */
  readonly ended: () => void
}

/** Rejects when there can be no server here. */
export type Lead = (options: LeadOptions) => Promise<Leader>

export interface Leader {
  hear(message: ToWorker, ports: readonly MessagePort[]): void
}

export const lead: Lead = async (options) => {
  const log = consoleLog()
  const place = await readPlace()
  const pair = await storedIdentity()
  const tab = new PublicTab({ place, pair, log })
  const peers = openPeers({ call: (name, header) => tab.call(name, header), clock: systemClock, log })
  const app = await loadApp(options.runtime.app)
  const running = await startServer({
    engine: await openEngine(options),
    app,
    pair,
    facts: tab,
    peers,
    clock: systemClock,
    log,
    appLog: consoleAppLog(),
    insertIntoPages: `<script src="${options.runtime.page}"></script>`,
  })
  const control = tabControl({ running, peers, tab, key: pair.key, keepWish: keepPublicWish })
  const leader = new ServingLeader(options, running, tab, control)
  options.say({ kind: "leading", epoch: running.epoch, isDurable: running.sql.isDurable })
  void goOn(tab, { running, peers }).catch((error: unknown) => {
    log.warn("tab.not_public", { reason: asRdvError(error).message })
  })
  return leader
}

class ServingLeader implements Leader {
  readonly #options: LeadOptions
  readonly #running: RunningServer
  readonly #tab: PublicTab
  readonly #ports: PortServer

  constructor(options: LeadOptions, running: RunningServer, tab: PublicTab, control: Control) {
    this.#options = options
    this.#running = running
    this.#tab = tab
    this.#ports = new PortServer({ server: running.server, epoch: running.epoch, control })
  }

  hear(message: ToWorker, ports: readonly MessagePort[]): void {
    switch (message.kind) {
      case "connect": {
        const [port] = ports
        if (port !== undefined) this.#ports.serve(port, message.from)
        return
      }
      case "end-streams":
        this.#ports.endStreams()
        this.#options.say({ kind: "streams-ended" })
        return
      case "stop":
        void this.#stop(message.graceMs)
        return
      default:
    }
  }

  async #stop(graceMs: number): Promise<void> {
    this.#ports.drain()
    try {
      await this.#running.close(graceMs)
    } finally {
      this.#tab.stop()
      this.#ports.close()
      this.#options.ended()
      this.#options.say({ kind: "stopped" })
    }
  }
}

/** Who was public goes on so, in whichever tab: the user's act was the first time. */
async function goOn(
  tab: PublicTab,
  server: { readonly running: RunningServer; readonly peers: TabPeers },
): Promise<void> {
  const name = await publicWish()
  if (name !== undefined && server.running.sql.isDurable) await tab.start(server, name)
}

/** Waits for handles that a dying worker still has. Without storage there is a database for as long as the tab lives. */
async function openEngine({ say }: LeadOptions): Promise<SqliteEngine> {
  const { openBrowserEngine, openMemoryEngine } = await import("./sqlite-engine.ts")
  let isTold = false
  for (;;) {
    try {
      return await openBrowserEngine()
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "no_service") return await openMemoryEngine()
      if (error.code !== "claimed") throw error
      if (!isTold) say({ kind: "failed", trouble: troubleOf(error), isFinal: false })
      isTold = true
      await delay(systemClock, againMs)
    }
  }
}

async function loadApp(path: string): Promise<TabApp> {
  const { default: app } = (await import(path)) as { readonly default?: Partial<TabApp> }
  if (typeof app?.fetch === "function") return app as TabApp
  throw new RdvError("usage", "The application has no fetch function", {
    mend: "let its file export it: export default { fetch(request, env) { … } }",
  })
}

/** A static host may have none: then there is nowhere to go public. */
async function readPlace(): Promise<TabPlace> {
  const nowhere: TabPlace = { app: null, relay: null, domain: null }
  try {
    const answer = await fetch("/.rdv/tab.json")
    return answer.ok ? { ...nowhere, ...((await answer.json()) as TabPlace) } : nowhere
  } catch {
    return nowhere
  }
}

/** Between attempts to get the database, ms. */
const againMs = 50
