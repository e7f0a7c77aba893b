/** `host:port` as files and flags have it; an IPv6 address stands in brackets. */

import { isIPv4, isIPv6 } from "node:net"
import { wrong } from "./quantity.ts"

export interface HostPort {
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
}

const mend = "write host:port, 127.0.0.1:9100 or [::1]:9101"

/** Throws `usage`. */
export function readHostPort(text: string): HostPort {
  const colon = text.lastIndexOf(":")
  const [host, port] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)]
  if (colon < 0 || host.endsWith(":") || (/:/.test(host) && !host.startsWith("["))) {
    throw wrong(text, isIPv6(text) ? "has no port, or no brackets" : "is not host:port", mend)
  }
  if (!/^\d{1,10}$/.test(port)) throw wrong(text, port === "" ? "has no port" : "has a port that is no number", mend)
  if (Number(port) < 1 || Number(port) > 65_535) {
    throw wrong(text, `has the port ${port}, which is not from 1 to 65535`, "change it")
  }
  return { host: readHost(host, text), port: Number(port) }
}

/** A name, an IPv4 address, or an IPv6 address in brackets or without. Throws `usage`; `whole` is what the error shows. */
export function readHost(text: string, whole: string = text): string {
  const inside = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : undefined
  if (inside !== undefined || text.includes(":")) {
    if (isIPv6(inside ?? text)) return inside ?? text
    throw wrong(whole, "has something else than an IPv6 address in its brackets", mend)
  }
  if (text === "") throw wrong(whole, "has no host", mend)
  // Names of what are no names in DNS, such as services of compose files, may have an underscore.
  if (!/^[\p{L}\p{N}_]([\p{L}\p{N}._-]{0,251}[\p{L}\p{N}._])?$/u.test(text))
    throw wrong(whole, "has a bad host name", mend)
  if (/^[\d.]+$/.test(text) && !isIPv4(text))
    throw wrong(whole, "has a bad IPv4 address", "write four numbers up to 255")
  return text
}

/** With brackets where they are needed. */
export function hostPortText({ host, port }: HostPort): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`
}
