/**
 * Where a link goes, as one line of text that people write in flags and files, and as a value. `http` and `https` are
 * the HTTP/1.1 upgrade to `rdv/1`, `ws` and `wss` the WebSocket.
 */

import { RdvError } from "../base/error.ts"

/** The path that sessions ask for on a port that also serves visitors. */
export const sessionPath = "/.rdv/session"

/** An empty host means every interface where we listen, and this machine where we dial. */
export type Address =
  | { readonly scheme: "tcp" | "tls"; readonly host: string; readonly port: number }
  | {
      readonly scheme: "ws" | "wss" | "http" | "https"
      readonly host: string
      readonly port: number
      readonly path: string
    }
  | { readonly scheme: "unix"; readonly path: string }
  | { readonly scheme: "memory"; readonly name: string }

export type Scheme = Address["scheme"]

/** The ports that may be left out; the other schemes have none. */
const defaultPorts: Partial<Record<Scheme, number>> = { ws: 80, wss: 443, http: 80, https: 443 }
const schemes: readonly Scheme[] = ["tcp", "tls", "unix", "ws", "wss", "http", "https", "memory"]

/**
 * Reads an address. `defaultScheme` is what a bare `host:port` or `:port` stands for; without it they are refused.
 * Throws `usage`.
 */
export function parseAddress(text: string, defaultScheme?: Scheme): Address {
  const match = /^([a-z][a-z0-9+.-]*):(\/\/)?(.*)$/is.exec(text)
  const named = match?.[1]?.toLowerCase()
  // `localhost:80` looks like a scheme too: without slashes only the two schemes that have none are meant.
  const isNamed = match !== null && (match[2] !== undefined || named === "unix" || named === "memory")
  const scheme = isNamed ? named : defaultScheme
  if (scheme === undefined)
    throw wrong(text, "has no scheme", "write tcp://, tls://, wss://, https:// or unix: in front")
  const rest = isNamed ? (match[3] as string) : text
  switch (scheme) {
    case "unix":
      // `unix:///run/x` and `unix:/run/x` are the same; a relative path is taken as it is.
      if (rest === "") throw wrong(text, "names no socket file", "write unix:/path/to/socket")
      return { scheme, path: rest }
    case "memory":
      if (rest === "") throw wrong(text, "has no name", "write memory:name")
      return { scheme, name: rest }
    case "tcp":
    case "tls": {
      const { host, port, path } = splitAuthority(text, scheme, rest)
      if (path !== "" && path !== "/")
        throw wrong(text, `has a path, which ${scheme} does not know`, `remove "${path}"`)
      return { scheme, host, port }
    }
    case "ws":
    case "wss":
    case "http":
    case "https": {
      const { host, port, path } = splitAuthority(text, scheme, rest)
      return { scheme, host, port, path: path === "" || path === "/" ? sessionPath : path }
    }
    default:
      throw wrong(text, `has the unknown scheme "${scheme}"`, `use one of ${schemes.join(", ")}`)
  }
}

/** The text that `parseAddress` reads back as the same value. */
export function printAddress(address: Address): string {
  switch (address.scheme) {
    case "unix":
      return `unix:${address.path}`
    case "memory":
      return `memory:${address.name}`
    case "tcp":
    case "tls":
      return `${address.scheme}://${printHostPort(address.host, address.port)}`
    default: {
      const port = address.port === defaultPorts[address.scheme] && address.host !== "" ? undefined : address.port
      return `${address.scheme}://${printHostPort(address.host, port)}${address.path === sessionPath ? "" : address.path}`
    }
  }
}

/** `host:port` with the brackets that IPv6 needs. */
export function printHostPort(host: string, port?: number): string {
  const name = host.includes(":") ? `[${host}]` : host
  return port === undefined ? name : `${name}:${port}`
}

function splitAuthority(text: string, scheme: Scheme, rest: string): { host: string; port: number; path: string } {
  const slash = rest.search(/[/?#]/)
  const authority = slash < 0 ? rest : rest.slice(0, slash)
  const path = slash < 0 ? "" : rest.slice(slash)
  if (path !== "" && !path.startsWith("/")) throw wrong(text, "has a query without a path", "put a path in front of it")
  if (/[^!-~]|#/.test(path)) throw wrong(text, "has a path with # or characters that need %", "encode them")
  // Never repeat what stands before the @: it may be a secret.
  if (authority.includes("@")) {
    const shown = `${scheme}://…@${authority.slice(authority.lastIndexOf("@") + 1)}`
    throw wrong(shown, "carries a user name", "give the token by its own option")
  }
  const match = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([^:[\]\s]*))(?::([^:]*))?$/i.exec(authority)
  if (match === null) {
    const bare = authority.split(":").length > 2 && !authority.includes("[")
    throw wrong(text, "is not host:port", bare ? "put an IPv6 address in brackets: [::1]:7000" : "write host:port")
  }
  const host = match[1] ?? (match[2] as string)
  const digits = match[3]
  if (digits === undefined) {
    const port = defaultPorts[scheme]
    if (host === "") throw wrong(text, "has no host", "write host:port")
    if (port === undefined) throw wrong(text, "has no port", `write ${printHostPort(host)}:PORT`)
    return { host, port, path }
  }
  const port = Number(digits)
  if (!/^\d{1,5}$/.test(digits) || port > 65535)
    throw wrong(text, `has the port "${digits}"`, "use a number from 0 to 65535")
  return { host, port, path }
}

function wrong(text: string, what: string, mend: string): RdvError {
  return new RdvError("usage", `The address ${JSON.stringify(text)} ${what}`, { mend })
}
