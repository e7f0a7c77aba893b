/** What pages may ask of the server beside requests. */

import { asRdvError, RdvError } from "../../base/error.ts"
import type { TabPeers } from "../../capabilities/tab/peers/tab-peers.ts"
import type { RunningServer } from "../../capabilities/tab/serve/running-server.ts"
import type { Control } from "./messages.ts"
import type { PublicTab } from "./public-tab.ts"

export interface TabControlOptions {
  readonly running: RunningServer
  readonly peers: TabPeers
  readonly tab: PublicTab
  readonly key: string
  /** Remembers it for the servers after this one. */
  readonly keepWish: (name: string | undefined) => Promise<void>
}

export function tabControl({ running, peers, tab, key, keepWish }: TabControlOptions): Control {
  const { sql, server, epoch } = running
  return {
    status: async () => ({
      epoch,
      isDurable: sql.isDurable,
      url: tab.url ?? null,
      name: tab.name ?? null,
      key,
      relay: tab.status(),
      server: server.status(),
      database: sql.stats(),
      peers: peers.list().map((peer) => ({ name: peer.name, path: peer.path, rttMs: peer.rttMs ?? null })),
    }),
    async "go-public"({ name }) {
      try {
        const url = await tab.start({ running, peers }, name)
        await keepWish(name)
        return { url }
      } catch (thrown) {
        const error = asRdvError(thrown)
        // It may still come, and the user wanted it.
        if (error.code === "timeout") await keepWish(name)
        else tab.stop()
        throw error
      }
    },
    async "go-private"() {
      await keepWish(undefined)
      tab.stop()
      return null
    },
    "export-database": async () => {
      const bytes = await sql.export()
      return new Blob([new Uint8Array(bytes)], { type: "application/vnd.sqlite3" })
    },
    async "import-database"(file) {
      if (file.size > mostImportBytes)
        throw new RdvError("too_large", "The file is too large to be a database of a tab")
      await sql.import(new Uint8Array(await file.arrayBuffer()))
      return null
    },
  }
}

/** It is held in memory as a whole, bytes. */
const mostImportBytes = 1024 * 1024 * 1024
