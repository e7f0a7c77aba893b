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
import type { IdentityKey } from "../../capabilities/tab/identity/key-pair.ts"
import type { RunningServer } from "../../capabilities/tab/serve/running-server.ts"
import { consoleAppLog, consoleLog } from "./console-log.ts"
import type { FromWorker, ToWorker } from "./messages.ts"
import { PortServer } from "./port-server.ts"
import { Presence } from "./presence.ts"
import type { RuntimeFiles } from "./runtime-files.ts"
import { storedIdentity } from "./stored-facts.ts"
import { tabControl } from "./tab-control.ts"
import { readPlace } from "./tab-place.ts"
import type { TabPlace } from "./tab-place.ts"
import { troubleOf } from "./trouble.ts"

export interface LeadOptions {
  readonly runtime: RuntimeFiles
  readonly say: (message: FromWorker) => void
  /** It serves no more: the lock may go. */
  readonly ended: () => void
  /** By the same version's `prepare`. */
  readonly prepared?: Prepared | undefined
}

/** What takes half of the time of a start, and is the same for everybody. */
export interface Prepared {
  readonly sqlite: WebAssembly.Module
}

/** While the lock is another one's: nothing is opened, and no program of the application runs. */
export type Prepare = () => Promise<Prepared>

/** Rejects when there can be no server here. */
export type Lead = (options: LeadOptions) => Promise<Leader>

export interface Leader {
  hear(message: ToWorker, ports: readonly MessagePort[]): void
}

export const prepare: Prepare = async () => {
  const { compileSqlite } = await import("./sqlite-engine.ts")
  return { sqlite: await compileSqlite(sqliteWasm) }
}

export const lead: Lead = async (options) => {
  const log = consoleLog()
  keepCookies(globalThis)
  // At the same time: each of them mostly waits.
  const opening = openEngine(options)
  let place: TabPlace
  let pair: IdentityKey
  let app: TabApp
  try {
    ;[place, pair, app] = await Promise.all([readPlace(), storedIdentity(), loadApp(options.runtime.app)])
  } catch (error) {
    void closeOpened(opening)
    throw error
  }
  const orderRtc = (value: unknown) => options.say({ kind: "rtc", value })
  const presence = new Presence({ place, pair, log, orderRtc })
  const running = await startServer({
    engine: await opening,
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
async function openEngine({ say, prepared }: LeadOptions): Promise<SqliteEngine> {
  const { openBrowserEngine, openMemoryEngine } = await import("./sqlite-engine.ts")
  const options = { wasmUrl: sqliteWasm, compiled: prepared?.sqlite }
  let isTold = false
  for (;;) {
    try {
      return await openBrowserEngine(options)
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "no_service") return await openMemoryEngine(options)
      if (error.code !== "claimed") throw error
      if (!isTold) say({ kind: "failed", trouble: troubleOf(error), isFinal: false })
      isTold = true
      await delay(systemClock, againMs)
    }
  }
}

/** For a start that has failed otherwise. */
async function closeOpened(opening: Promise<SqliteEngine>): Promise<void> {
  const engine = await opening.catch(() => undefined)
  engine?.close()
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
