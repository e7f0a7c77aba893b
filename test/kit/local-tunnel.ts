/** Relay, agent and one tunnel in this process, over real sockets on loopback: what a test puts before its origin. */

import { silentLog } from "../../src/base/log.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Exposed } from "../../src/host/host.ts"
import type { SessionLimits } from "../../src/mux/limits.ts"
import type { DoorTls } from "../../src/relay/tls-door.ts"
import { startAgent, startRelay, startTunnel } from "../../src/node.ts"
import type { RelayLimits, RunningAgent, RunningRelay, TunnelSettings } from "../../src/node.ts"
import type { TokenLimits } from "../../src/store/token-scopes.ts"
import { eventually } from "./raw-http.ts"

export interface LocalTunnelOptions {
  /** `127.0.0.1:port`. */
  readonly target: string
  readonly settings?: Partial<TunnelSettings>
  readonly limits?: Partial<RelayLimits>
  readonly sessionLimits?: Partial<SessionLimits>
  /** The agent comes with a token that has these. */
  readonly tokenLimits?: TokenLimits
  /** Where the agent dials, for who stands between it and the relay. */
  readonly between?: (relayPort: number) => Promise<number>
  /** Whose `X-Forwarded-For` counts. */
  readonly trustProxy?: readonly string[]
  /** Visitors may come by TLS, too. */
  readonly tls?: DoorTls
  readonly onExchange?: (method: string, target: string, status: number, ms: number) => void
}

export interface LocalTunnel extends AsyncDisposable {
  readonly relay: RunningRelay
  readonly agent: RunningAgent
  /** Where visitors connect: the relay's port, or the public port of a TCP tunnel. */
  readonly port: number
  /** The same by TLS, where it was asked for. */
  readonly tlsPort: number
  /** What visitors send as Host. */
  readonly host: string
  /** Open connections of visitors, and streams of the session beside its control stream. */
  held(): { visitors: number; streams: number; targetConnections: number }
  /** Resolves when no visitor and no stream is left; rejects after 3 s. */
  quiet(): Promise<void>
}

export async function localTunnel(options: LocalTunnelOptions): Promise<LocalTunnel> {
  const relay = await startRelay({
    listen: ["127.0.0.1:0", ...(options.tls === undefined ? [] : ["tls://127.0.0.1:0"])],
    ...(options.tls !== undefined && { tls: options.tls }),
    ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
    store: ":memory:",
    open: true,
    log: silentLog,
    ...(options.limits !== undefined && { limits: options.limits }),
    ...(options.sessionLimits !== undefined && { sessionLimits: options.sessionLimits }),
  })
  const [address, secure] = relay.addresses
  if (address === undefined || !("port" in address)) throw new Error("The relay has no port")
  const dialled = (await options.between?.(address.port)) ?? address.port
  const scopes = options.tokenLimits && { limits: options.tokenLimits }
  const agent = startAgent({
    relay: `127.0.0.1:${dialled}`,
    ...(scopes !== undefined && { token: relay.store.createToken({ name: "test", scopes }).token }),
    log: silentLog,
    ...(options.sessionLimits !== undefined && { limits: options.sessionLimits }),
  })
  const settings: TunnelSettings = { kind: "http", target: options.target, ...options.settings }
  const exposed = await new Promise<Exposed>((resolve, reject) => {
    const { onExchange } = options
    const events = { onExposed: resolve, onRefused: reject, ...(onExchange !== undefined && { onExchange }) }
    startTunnel(agent.agent, settings, events).catch(reject)
  })
  const held = () => {
    const status = relay.relay.status()
    const visitors = status["visitors"] as { visitors: number; tcpConnections: number }
    const sessions = status["sessions"] as unknown as { streams: number }[]
    const report = Object.values(agent.agent.status()).find(isTunnelReport)
    return {
      visitors: visitors.visitors + visitors.tcpConnections,
      streams: sessions.reduce((sum, { streams }) => sum + streams - 1, 0),
      targetConnections: report?.connections ?? 0,
    }
  }
  return {
    relay,
    agent,
    port: settings.kind === "tcp" ? Number(exposed.name) : address.port,
    tlsPort: secure !== undefined && "port" in secure ? secure.port : 0,
    host: `${exposed.name}.localhost`,
    held,
    quiet: () =>
      eventually("no visitor and no stream is left", () => {
        const { visitors, streams } = held()
        return visitors === 0 && streams === 0
      }),
    async [Symbol.asyncDispose]() {
      await agent.stop()
      await relay.stop()
    },
  }
}

function isTunnelReport(value: unknown): value is JsonObject & { connections: number } {
  return typeof value === "object" && value !== null && "connections" in value
}
