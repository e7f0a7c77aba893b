/** What pages may ask of the server beside requests. */

import { RdvError } from "../../base/error.ts"
import type { RunningServer } from "../../capabilities/tab/serve/running-server.ts"
import type { Control } from "./messages.ts"
import type { Presence } from "./presence.ts"

export interface TabControlOptions {
  readonly running: RunningServer
  readonly presence: Presence
  readonly key: string
  /** Another database is in the place of the one that the application knows. */
  readonly onImported: () => void
}

export function tabControl({ running, presence, key, onImported }: TabControlOptions): Control {
  const { sql, server, epoch } = running
  return {
    status: async () => ({
      epoch,
      isDurable: sql.isDurable,
      url: presence.url ?? null,
      name: presence.name ?? null,
      key,
      relay: presence.status(),
      server: server.status(),
      database: sql.stats(),
      peers: presence.list().map(({ name, path, rttMs, trouble, key: peerKey, formerKey }) => ({
        name,
        path,
        rttMs: rttMs ?? null,
        trouble: trouble ?? null,
        key: peerKey ?? null,
        formerKey: formerKey ?? null,
      })),
    }),
    "go-public": async ({ name }) => ({ url: await presence.goPublic(running, name) }),
    async "go-private"() {
      await presence.goPrivate()
      return null
    },
    async "export-database"() {
      const bytes = await sql.export()
      return new Blob([new Uint8Array(bytes)], { type: "application/vnd.sqlite3" })
    },
    async "import-database"(file) {
      if (file.size > mostImportBytes) {
        throw new RdvError("too_large", "The file is too large to be the database of a tab")
      }
      await sql.import(new Uint8Array(await file.arrayBuffer()))
      onImported()
      return null
    },
  }
}

/** It is held in memory as a whole, bytes. */
const mostImportBytes = 1024 * 1024 * 1024
