/** What a server gives its application. */

import type { Blobs } from "./blobs.ts"
import type { Identity } from "./identity.ts"
import type { Peers } from "./peers.ts"
import type { Sql } from "./sql.ts"

export interface TabEnv {
  readonly sql: Sql
  readonly blobs: Blobs
  readonly identity: Identity
  readonly peers: Peers
  readonly log: AppLog
  /** Work that goes on behind the response; a server that stops in good order waits for it, up to its grace. */
  waitUntil(work: Promise<unknown>): void
}

/** Lines of the application: the console of the tab, or standard error, and the status page. */
export interface AppLog {
  debug(text: string, fields?: { readonly [key: string]: unknown }): void
  info(text: string, fields?: { readonly [key: string]: unknown }): void
  warn(text: string, fields?: { readonly [key: string]: unknown }): void
  error(text: string, fields?: { readonly [key: string]: unknown }): void
}
