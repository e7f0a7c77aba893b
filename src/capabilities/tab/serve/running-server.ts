/**
 * A server of an application, put together from its database, its key and the application itself; the same in a tab and in
 * Node. Whoever starts it gives what the platform alone can: the engine, where the key is kept, ways to the relay.
 */

import type { Clock } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import type { TabApp } from "../app/app.ts"
import type { AppLog } from "../app/env.ts"
import type { Peers } from "../app/peers.ts"
import { blobsIn, openBlobs } from "../data/blobs.ts"
import type { SqliteEngine } from "../data/engine.ts"
import { raiseEpoch } from "../data/epoch.ts"
import { openReplies } from "../data/replies.ts"
import { openSql } from "../data/tab-sql.ts"
import type { TabSql } from "../data/tab-sql.ts"
import { identityOf } from "../identity/key-pair.ts"
import type { IdentityKey, PublicFacts } from "../identity/key-pair.ts"
import { TabServer } from "./tab-server.ts"

export interface StartServerOptions {
  /** Belongs to the server from here on: it closes it, also when the start fails. */
  readonly engine: SqliteEngine
  readonly app: TabApp
  readonly pair: IdentityKey
  readonly facts: PublicFacts
  readonly peers: Peers
  readonly clock: Clock
  readonly log: Log
  readonly appLog: AppLog
  readonly insertIntoPages?: string | undefined
}

export interface RunningServer {
  readonly server: TabServer
  readonly sql: TabSql
  /** Above that of every earlier server of this database. */
  readonly epoch: number
  /** Takes nothing new, waits up to `graceMs` for what runs, closes the database. */
  close(graceMs: number): Promise<void>
}

/** Rejects with what the application's `start` throws, and with what the database does. */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const { engine, app, pair, facts, peers, clock, log, appLog, insertIntoPages } = options
  let sql: TabSql
  try {
    sql = openSql(engine, { clock, log })
  } catch (error) {
    engine.close()
    throw error
  }
  try {
    const epoch = await raiseEpoch(sql, clock.wall())
    const server = new TabServer({
      app,
      env: {
        sql,
        blobs: await openBlobs(sql, { clock, log }),
        identity: identityOf(pair, facts),
        peers,
        log: appLog,
      },
      replies: openReplies(sql, { clock, blobs: (within) => blobsIn(within, clock) }),
      clock,
      log,
      insertIntoPages,
    })
    await server.start()
    return {
      server,
      sql,
      epoch,
      async close(graceMs) {
        await server.drain(graceMs)
        await sql.close()
      },
    }
  } catch (error) {
    await sql.close()
    throw error
  }
}
