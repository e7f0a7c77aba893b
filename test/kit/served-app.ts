/** An application behind a server, and a session that brings it exchanges: what tests of serving begin with. */

import type { Clock } from "../../src/base/clock.ts"
import { systemClock } from "../../src/base/clock.ts"
import type { Log, LogFields } from "../../src/base/log.ts"
import type { Stream } from "../../src/base/stream.ts"
import type { TabApp } from "../../src/capabilities/tab/app/app.ts"
import type { TabEnv } from "../../src/capabilities/tab/app/env.ts"
import type { Visitor } from "../../src/capabilities/tab/app/visitor.ts"
import { serveExchange } from "../../src/capabilities/tab/serve/exchange.ts"
import { fetchOver } from "../../src/capabilities/tab/serve/fetch-over.ts"
import type { Replies } from "../../src/capabilities/tab/serve/replies.ts"
import { TabServer } from "../../src/capabilities/tab/serve/tab-server.ts"
import { sessionPair } from "./session-pair.ts"
import type { SessionPair, SessionPairOptions } from "./session-pair.ts"

export interface ServedAppOptions {
  readonly visitor?: Visitor
  readonly replies?: Replies
  readonly insertIntoPages?: string
  readonly clock?: Clock
  readonly pair?: SessionPairOptions
  /** Sees each stream before it is served. */
  readonly watch?: (stream: Stream) => Stream
}

export interface LoggedLine {
  readonly level: string
  readonly event: string
  readonly fields: LogFields
}

export interface ServedApp extends Disposable {
  readonly server: TabServer
  readonly pair: SessionPair
  readonly lines: LoggedLine[]
  open(header: Stream["header"]): Stream
  fetch(url: string, init?: RequestInit): Promise<Response>
}

export function servedApp(app: TabApp, options: ServedAppOptions = {}): ServedApp {
  const lines: LoggedLine[] = []
  const { replies, insertIntoPages, clock = systemClock } = options
  const server = new TabServer({
    app,
    env: bareEnv,
    clock,
    log: keepingLog(lines),
    ...(replies !== undefined && { replies }),
    ...(insertIntoPages !== undefined && { insertIntoPages }),
  })
  const visitor: Visitor = options.visitor ?? { kind: "public", address: "192.0.2.1" }
  const watch = options.watch ?? ((stream: Stream) => stream)
  const pair = sessionPair({ ...options.pair, onAccepted: (stream) => serveExchange(watch(stream), server, visitor) })
  const open = (header: Stream["header"]) => pair.dialer.open("http/tab", header)
  return {
    server,
    pair,
    lines,
    open,
    fetch: (url, init) => fetchOver(open, new Request(new URL(url, "http://app.test"), init)),
    [Symbol.dispose]: () => pair.close(),
  }
}

/** For applications that have no data. */
export const bareEnv: Omit<TabEnv, "waitUntil"> = {} as TabEnv

function keepingLog(lines: LoggedLine[]): Log {
  const note =
    (level: string) =>
    (event: string, fields: LogFields = {}) =>
      void lines.push({ level, event, fields })
  const log: Log = {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    with: () => log,
  }
  return log
}
