/** A relay and an agent in this process, over real sockets of loopback, with an application behind a public name. */

import { silentLog } from "../../src/base/log.ts"
import { systemClock } from "../../src/base/clock.ts"
import type { TabApp } from "../../src/capabilities/tab/app/app.ts"
import { serveExchange } from "../../src/capabilities/tab/serve/exchange.ts"
import { TabServer } from "../../src/capabilities/tab/serve/tab-server.ts"
import type { Exposed } from "../../src/host/host.ts"
import { startAgent, startRelay } from "../../src/node.ts"
import { eventually } from "./raw-http.ts"
import { bareEnv } from "./served-app.ts"

export interface PublicApp extends AsyncDisposable {
  readonly server: TabServer
  readonly port: number
  /** What visitors send as Host. */
  readonly host: string
  /** Resolves when no visitor is left and nothing runs at the server. */
  quiet(): Promise<void>
}

export async function publicApp(app: TabApp): Promise<PublicApp> {
  const relay = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", open: true, log: silentLog })
  const [address] = relay.addresses
  if (address === undefined || !("port" in address)) throw new Error("The relay has no port")
  const { port } = address
  const server = new TabServer({ app, env: bareEnv, clock: systemClock, log: silentLog })
  const agent = startAgent({ relay: `127.0.0.1:${port}`, log: silentLog })
  const exposed = await new Promise<Exposed>((resolve, reject) => {
    agent.agent.accept(
      "http/tab",
      ({ stream, header }) => serveExchange(stream, server, { kind: "public", address: String(header["from"]) }),
      { expose: { kind: "http" }, onExposed: resolve, onRefused: reject },
    )
  })
  const streams = () => {
    const sessions = relay.relay.status()["sessions"] as unknown as { streams: number }[]
    return sessions.reduce((sum, each) => sum + each.streams - 1, 0)
  }
  return {
    server,
    port,
    host: `${exposed.name}.localhost`,
    quiet: () => eventually("nothing runs", () => server.status()["running"] === 0 && streams() === 0),
    async [Symbol.asyncDispose]() {
      await agent.stop()
      await relay.stop()
    },
  }
}
