/** How people reach a relay's own pages. */

import { hostname, networkInterfaces } from "node:os"
import { printHostPort } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import { isEverywhere } from "./relay-tls.ts"

export interface OwnUrlOptions {
  /** What stands in front of it says so. */
  readonly publicUrl?: string | undefined
  /** Names below it are the routes'; itself it is the relay's. */
  readonly domain?: string | undefined
}

/** `https://relay.example`, without a slash at its end. */
export function ownUrl(addresses: readonly Address[], { publicUrl, domain = "localhost" }: OwnUrlOptions = {}): string {
  if (publicUrl !== undefined) return publicUrl.replace(/\/$/, "")
  const address = addresses.find(({ scheme }) => scheme === "tcp" || scheme === "tls")
  if (address === undefined || !("port" in address)) return `http://${domain}`
  const secure = address.scheme === "tls"
  const isNamed = domain !== "localhost"
  const host = isNamed ? domain : isEverywhere(address.host) ? ownAddress() : address.host
  const { port } = address
  return `${secure ? "https" : "http"}://${port === (secure ? 443 : 80) ? host : printHostPort(host, port)}`
}

/** One by which others reach this machine. */
function ownAddress(): string {
  for (const all of Object.values(networkInterfaces()))
    for (const { address, family, internal } of all ?? []) if (!internal && family === "IPv4") return address
  return hostname()
}
