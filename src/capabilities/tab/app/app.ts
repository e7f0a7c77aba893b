/**
 * What an application is: one function from a request to a response, in the web platform's own words. The same file runs
 * in a browser tab and in Node; it never learns which. A Hono application is one as it is.
 */

import type { TabEnv } from "./env.ts"
import type { TabSocket } from "./socket.ts"

export interface TabApp {
  /** Answers every request: navigations of the own tab, other tabs', visitors' from the public URL, peers'. */
  fetch(request: Request, env: TabEnv): Response | Promise<Response>
  /** Takes a WebSocket. Without it, upgrades are answered with 426. It rejects or throws to refuse, before it returns. */
  socket?(socket: TabSocket, request: Request, env: TabEnv): void | Promise<void>
  /** Runs before the first request whenever a server starts: the place for the schema. What it throws ends the start. */
  start?(env: TabEnv): void | Promise<void>
}
