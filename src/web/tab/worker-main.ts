/**
 * The server of this origin: what the worker with the lock loads. It opens the database, starts the application, serves the
 * ports of pages and service worker, and keeps the session to the relay.
 */

import sqliteWasm from "@sqlite.org/sqlite-wasm/sqlite3.wasm"
import { delay, systemClock } from "../../base/clock.ts"
import { asRdvError, RdvError } from "../../base/error.ts"
import type { TabApp } from "../../capabilities/tab/app/app.ts"
import type { SqliteEngine } from "../../capabilities/tab/data/engine.ts"
import { keepCookies } from "../../capabilities/tab/serve/kept-cookies.ts"
import { startServer } from "../../capabilities/tab/serve/running-server.ts"
import type { RunningServer } from "../../capabilities/tab/serve/running-server.ts"
import { consoleAppLog, consoleLog } from "./console-log.ts"
import type { FromWorker, ToWorker } from "./messages.ts"
import { PortServer } from "./port-server.ts"
import { Presence } from "./presence.ts"
import type { RuntimeFiles } from "./runtime-files.ts"
import { storedIdentity } from "./stored-facts.ts"
import { tabControl } from "./tab-control.ts"
import { readPlace } from "./tab-place.ts"
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
  const orderRtc = (value: unknown) => options.say({ kind: "rtc", value })
  const presence = new Presence({ place, pair, log, orderRtc })
  keepCookies(globalThis)
  const app = await loadApp(options.runtime.app)
  const running = await startServer({
    engine: await openEngine(options),
    app,
    pair,
    facts: presence,
    peers: presence,
    clock: systemClock,
    log,
    appLog: consoleAppLog(),
    insertIntoPages: `<script src="${options.runtime.page}" data-version="${options.runtime.version}"></script>`,
  })
  const leader = new ServingLeader(options, running, presence, pair.key)
  options.say({ kind: "leading", epoch: running.epoch, isDurable: running.sql.isDurable })
  void presence.goOn(running).catch((error: unknown) => {
    log.warn("tab.not_public", { reason: asRdvError(error).message })
  })
  return leader
}

class ServingLeader implements Leader {
  readonly #options: LeadOptions
  readonly #running: RunningServer
  readonly #presence: Presence
  readonly #ports: PortServer

  constructor(options: LeadOptions, running: RunningServer, presence: Presence, key: string) {
    this.#options = options
    this.#running = running
    this.#presence = presence
    // The application has prepared for another database: the next server starts with this one.
    const onImported = () => void this.#stop(importGraceMs)
    const control = tabControl({ running, presence, key, onImported })
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
      case "rtc":
        this.#presence.hearRtc(message.value)
        return
      default:
    }
  }

  async #stop(graceMs: number): Promise<void> {
    this.#ports.drain()
    try {
      await this.#running.close(graceMs)
    } finally {
      this.#presence.stop()
      this.#ports.close()
      this.#options.ended()
      this.#options.say({ kind: "stopped" })
    }
  }
}

/** Waits for handles that a dying worker still has. Without storage there is a database for as long as the tab lives. */
async function openEngine({ say }: LeadOptions): Promise<SqliteEngine> {
  const { openBrowserEngine, openMemoryEngine } = await import("./sqlite-engine.ts")
  let isTold = false
  for (;;) {
    try {
      return await openBrowserEngine({ wasmUrl: sqliteWasm })
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "no_service") return await openMemoryEngine({ wasmUrl: sqliteWasm })
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

/** Between attempts to get the database, ms. */
const againMs = 50
/** For what runs when another database is brought in: it gets its answer from the old one, ms. */
const importGraceMs = 1000
