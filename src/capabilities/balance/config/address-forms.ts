/** How addresses, networks and names are spelled. */

import { isIP } from "node:net"
import { domainToASCII } from "node:url"
import { hostPortText, readHostPort } from "../../../config/host-port.ts"
import type { HostPort } from "../../../config/host-port.ts"
import { wrong } from "../../../config/quantity.ts"
import { NetworkList, networkMend } from "../limit/networks.ts"
import { addressText } from "../target/target.ts"
import type { Form } from "./form.ts"
import type { TargetAddress } from "./settings.ts"
import { readText } from "./value-forms.ts"

/** `host:port`, `unix:/path`, `rdv:NAME`. Throws `usage`. */
export function readTargetAddress(text: string): TargetAddress {
  if (/^unix:/i.test(text)) {
    const path = text.slice(5)
    // sun_path has 108 bytes with its end.
    if (/^\/[^\0]+$/.test(path) && Buffer.byteLength(path) < 108) return { kind: "unix", path }
    throw wrong(text, "has no path that a socket may have", "write unix:/run/app.sock")
  }
  if (/^rdv:/i.test(text)) {
    const name = text.slice(4)
    if (name.length <= 100 && /^[a-z0-9][a-z0-9._/-]*$/.test(name)) return { kind: "rdv", name }
    const letters = 'use a-z, 0-9, ".", "_", "-", "/", beginning with a letter or digit'
    throw wrong(text, "is not the name of a service", letters)
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw wrong(text, "is a URL", "write host:port, unix:/path or rdv:NAME; TLS is a key of its own")
  }
  return { kind: "tcp", ...readHostPort(text) }
}

export const targetAddress: Form<TargetAddress> = readText(readTargetAddress, addressText, "ADDRESS")

/** `8080`, `127.0.0.1:8080`: what is listened on. Throws `usage`. */
export function readListenAddress(text: string): { readonly host: string | undefined; readonly port: number } {
  const all = /^(?:\*?:)?(\d{1,10})$/.exec(text)
  if (all === null) return readHostPort(text)
  const port = Number(all[1])
  if (port >= 1 && port <= 65_535) return { host: undefined, port }
  throw wrong(text, "is not a port from 1 to 65535", "change it")
}

export function listenAddressText({ host, port }: { host: string | undefined; port: number }): string | number {
  return host === undefined ? port : hostPortText({ host, port })
}

/** A port alone is on loopback. */
export const loopbackAddress: Form<HostPort> = readText(
  (text) => {
    const { host, port } = readListenAddress(text)
    return { host: host ?? "127.0.0.1", port }
  },
  hostPortText,
  "HOST:PORT",
  { type: ["string", "integer"], minimum: 1, maximum: 65_535, minLength: 1 },
)

/** An address, or a range of them as CIDR. */
export const network: Form<string> = readText(
  (text) => {
    const problem = new NetworkList().add(text)
    if (problem === undefined) return text
    throw wrong(text, `is not a network: ${problem}`, networkMend)
  },
  (value) => value,
  "CIDR",
)

/** In lower case and as DNS carries it. */
export const serverName: Form<string> = readText(
  (text) => {
    const wild = text.startsWith("*.")
    const name = domainToASCII(wild ? text.slice(2) : text)
    if (name !== "" && name.length <= 253 && /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) {
      return wild ? `*.${name}` : name
    }
    throw wrong(text, "is not a server name", "write shop.test or *.shop.test")
  },
  (value) => value,
  "NAME",
)

/** SHA-256 of a token: the file is not where a token should be readable. */
export const tokenHash: Form<string> = readText(
  (text) => {
    const hex = text.replace(/^sha256:/i, "").toLowerCase()
    if (/^[0-9a-f]{64}$/.test(hex)) return hex
    throw wrong(text.slice(0, 8), "is not the SHA-256 of a token", "write 64 hex digits: printf %s TOKEN | sha256sum")
  },
  (value) => `sha256:${value}`,
  "SHA256",
)

/** An IP address. */
export const ipAddress: Form<string> = readText(
  (text) => {
    const address = text.replace(/^\[(.*)\]$/, "$1")
    if (isIP(address) !== 0) return address
    throw wrong(text, "is not an address", "write 127.0.0.1 or ::1")
  },
  (value) => value,
  "ADDR",
)
