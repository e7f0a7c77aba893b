/** `--resolve`: addresses that stand in for what a lookup would say, as curl has it. */

import { isIP } from "node:net"
import { readHost } from "../../../config/host-port.ts"
import type { HostPort } from "../../../config/host-port.ts"
import { wrong } from "../../../config/quantity.ts"
import type { Settings } from "./settings.ts"

type Resolutions = Settings["resolve"]

const mend = "write shop.test=127.0.0.1, shop.test=127.0.0.1,::1 or shop.test:443:127.0.0.1"

/** One flag. With a port it holds for that port alone. Throws `usage`. */
export function readResolution(text: string): readonly [host: string, addresses: readonly string[]] {
  const [, host, list] = /^([^=]+)=(.*)$/.exec(text) ?? /^((?:\[[^\]]*\]|[^:=]+):\d+):(.*)$/.exec(text) ?? []
  if (host === undefined || list === undefined) throw wrong(text, "is not a host with an address", mend)
  const addresses = list.split(",").map((one) => one.trim().replace(/^\[(.*)\]$/, "$1"))
  const bad = addresses.find((one) => isIP(one) === 0)
  if (bad !== undefined) throw wrong(text, `has ${JSON.stringify(bad)} where an address should be`, mend)
  return [readResolveKey(host), addresses]
}

/** `host` or `host:port`, in lower case. Throws `usage`. */
export function readResolveKey(text: string): string {
  const [, host = text, port] = /^([^:]+):(\d{1,5})$/.exec(text.toLowerCase()) ?? []
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))
    throw wrong(text, "has a bad port", "change it")
  const name = readHost(host.toLowerCase(), text)
  return port === undefined ? name : `${name}:${Number(port)}`
}

/** Flags go before the file; several for one host add up. Throws `usage`. */
export function withResolutions(settings: Settings, flags: readonly string[]): Settings {
  if (flags.length === 0) return settings
  const said: Record<string, readonly string[]> = Object.create(null) as Record<string, readonly string[]>
  for (const flag of flags) {
    const [host, addresses] = readResolution(flag)
    said[host] = [...(said[host] ?? []), ...addresses]
  }
  return { ...settings, resolve: { ...settings.resolve, ...said } }
}

/**
 * The name by which a target's addresses are looked up: `host:port` where the settings have addresses for that, which then
 * stand in for the lookup, or the host alone.
 */
export function lookupName(resolutions: Resolutions, { host, port }: HostPort): string {
  const name = host.toLowerCase()
  const own = `${name}:${port}`
  return Object.hasOwn(resolutions, own) ? own : name
}
