/**
 * Tunnels: a local service behind a public name or port, or behind a private name that only sessions of the same owner
 * reach. Each is one service of the host, each visitor one stream.
 */

import { RdvError } from "../../base/error.ts"
import { isJsonObject } from "../../base/json.ts"
import type { Capability } from "../../host/capability.ts"
import type { Exposed, Host } from "../../host/host.ts"
import { checkPrivateName } from "../../host/private-call.ts"
import { splice } from "../../sockets/splice.ts"
import { connectLocal } from "./connect.ts"
import { ConnectionPool } from "./connection-pool.ts"
import { serveFolder } from "./folder.ts"
import { holdStream } from "./held-stream.ts"
import { serveHttpCall } from "./http-call.ts"
import { endpointText, readHttpTarget, readTcpTarget } from "./target.ts"
import type { Endpoint } from "./target.ts"

export interface TunnelSettings {
  readonly kind: "http" | "tcp"
  /** `3000`, `host:port`, a URL, `unix:/path`; for http a folder too. */
  readonly target: string
  /** http: the first label of the public name; a readable one is picked without it. */
  readonly name?: string
  /** tcp: the public port; 0 lets the relay choose. */
  readonly port?: number
  /** tcp: no public port; sessions of the same owner call it by this name, which other agents may offer as well. */
  readonly private?: string
  /** http: replaces the visitor's Host. */
  readonly hostHeader?: string
  /** A local https service may show any certificate. */
  readonly insecure?: boolean
}

export interface TunnelEvents {
  /** Where visitors go, at first and whenever it changes. */
  readonly onExposed?: (exposed: Exposed) => void
  /** The relay refused for now, and is asked again. */
  readonly onDelayed?: (error: Error) => void
  readonly onRefused?: (error: Error) => void
  /** An exchange is over. `status` 499 stands for a visitor that left. */
  readonly onExchange?: (method: string, target: string, status: number, ms: number) => void
}

const keys: ReadonlySet<string> = new Set(["kind", "target", "name", "port", "private", "hostHeader", "insecure"])

export const tunnel: Capability<TunnelSettings> = {
  name: "tunnel",
  summary: "Puts a local service on a public URL or port.",
  settings: readTunnelSettings,
  start: (host, settings) => startTunnel(host, settings, {}),
}

/** As the capability's `start`, for who wants to hear what happens. */
export async function startTunnel(host: Host, settings: TunnelSettings, events: TunnelEvents): Promise<void> {
  if (settings.kind === "tcp") {
    startTcp(host, settings, events)
    return
  }
  const target = readHttpTarget(settings.target)
  let endpoint: Endpoint
  if (target.kind === "folder") {
    const folder = await serveFolder(target.path, { log: host.log })
    host.scope.onEnd(() => folder.close())
    endpoint = { kind: "unix", path: folder.target.socketPath }
  } else endpoint = target.endpoint
  startHttp(host, settings, endpoint, target.text, events)
}

function startHttp(host: Host, settings: TunnelSettings, endpoint: Endpoint, text: string, events: TunnelEvents): void {
  const pool = new ConnectionPool({
    clock: host.clock,
    endpoint,
    connect: { insecure: settings.insecure ?? false },
  })
  host.scope.onEnd(() => pool.close())
  const seed = `http ${settings.target}`
  const service = `http/${settings.name ?? serviceLabel(text)}`
  const options = {
    pool,
    hostHeader: settings.hostHeader === "rewrite" ? endpointText(endpoint) : settings.hostHeader,
    nowMs: () => host.clock.now(),
    ...(events.onExchange !== undefined && { onDone: events.onExchange }),
  }
  host.accept(service, ({ stream }) => serveHttpCall(stream, options), {
    expose: { kind: "http", seed, ...(settings.name !== undefined && { name: settings.name }) },
    ...(events.onExposed !== undefined && { onExposed: events.onExposed }),
    ...(events.onDelayed !== undefined && { onDelayed: events.onDelayed }),
    ...(events.onRefused !== undefined && { onRefused: events.onRefused }),
  })
  host.report(service, () => ({ target: text, connections: pool.open, waiting: pool.waiting }))
}

function startTcp(host: Host, settings: TunnelSettings, events: TunnelEvents): void {
  const endpoint = readTcpTarget(settings.target)
  const text = endpointText(endpoint)
  let connections = 0
  const { port = 0, private: name } = settings
  const service = `tcp/${port === 0 ? serviceLabel(text) : port}`
  host.accept(
    service,
    ({ stream }) => {
      // A visitor who leaves before there is a connection needs none.
      const held = holdStream(stream, () => giveUp())
      const giveUp = connectLocal(
        endpoint,
        {},
        ({ socket, reader }) => {
          connections++
          if (name !== undefined) stream.meta({ connected: true })
          splice(held, socket, reader, () => {
            connections--
            reader.release()
          })
        },
        (error) => stream.reset(error.code, error.message),
      )
    },
    {
      expose:
        name === undefined
          ? { kind: "tcp", port, seed: `tcp ${settings.target}` }
          : { kind: "private", name, shared: true },
      ...(events.onExposed !== undefined && { onExposed: events.onExposed }),
      ...(events.onDelayed !== undefined && { onDelayed: events.onDelayed }),
      ...(events.onRefused !== undefined && { onRefused: events.onRefused }),
    },
  )
  host.report(service, () => ({ target: text, connections }))
}

/** A target as part of a service's name. */
function serviceLabel(text: string): string {
  return (
    text
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 60) || "target"
  )
}

function readTunnelSettings(raw: unknown, at: string): TunnelSettings {
  if (!isJsonObject(raw)) throw new RdvError("usage", `${at} must be an object`)
  const unknown = Object.keys(raw).find((key) => !keys.has(key))
  if (unknown !== undefined) {
    throw new RdvError("usage", `${at}.${unknown} is not a setting`, { mend: `known are ${[...keys].join(", ")}` })
  }
  const { kind, target, name, port, private: privateName, hostHeader, insecure } = raw
  if (kind !== "http" && kind !== "tcp") throw new RdvError("usage", `${at}.kind must be "http" or "tcp"`)
  if (typeof target !== "string") throw new RdvError("usage", `${at}.target must be text, such as "3000"`)
  if (name !== undefined && typeof name !== "string") throw new RdvError("usage", `${at}.name must be text`)
  if (port !== undefined && !(typeof port === "number" && Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw new RdvError("usage", `${at}.port must be a whole number from 0 to 65535`)
  }
  if (privateName !== undefined) {
    if (kind !== "tcp") throw new RdvError("usage", `${at}.private is for kind "tcp"`)
    if (port !== undefined)
      throw new RdvError("usage", `${at} has a port and a private name`, { mend: "leave one out" })
    if (typeof privateName !== "string") throw new RdvError("usage", `${at}.private must be text`)
    checkPrivateName(privateName)
  }
  if (hostHeader !== undefined && typeof hostHeader !== "string") {
    throw new RdvError("usage", `${at}.hostHeader must be text`)
  }
  if (insecure !== undefined && typeof insecure !== "boolean") {
    throw new RdvError("usage", `${at}.insecure must be true or false`)
  }
  if (kind === "http") readHttpTarget(target)
  else readTcpTarget(target)
  return {
    kind,
    target,
    ...(name !== undefined && { name }),
    ...(port !== undefined && { port: port as number }),
    ...(privateName !== undefined && { private: privateName as string }),
    ...(hostHeader !== undefined && { hostHeader }),
    ...(insecure !== undefined && { insecure }),
  }
}
