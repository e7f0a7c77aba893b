/** What a tunnel leads to, as people write it: `3000`, `host:port`, a URL, `unix:/path`, a folder. */

import { RdvError } from "../../base/error.ts"

/** Where connections go. */
export type Endpoint =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly tls: boolean }
  | { readonly kind: "unix"; readonly path: string }

export type Target =
  | { readonly kind: "endpoint"; readonly endpoint: Endpoint; /** For people. */ readonly text: string }
  | { readonly kind: "folder"; readonly path: string; readonly text: string }

/** Reads a target of `rdv http`. Throws `usage` with the mend. */
export function readHttpTarget(text: string): Target {
  if (/^(\.{1,2}([/\\]|$)|\/|~\/|[A-Za-z]:\\)/.test(text)) return { kind: "folder", path: text, text }
  if (text.startsWith("file://")) return { kind: "folder", path: decodeURIComponent(new URL(text).pathname), text }
  const secure = /^https:\/\//i.test(text)
  if (secure || /^http:\/\//i.test(text)) return { kind: "endpoint", endpoint: readUrl(text, secure), text }
  const endpoint = readEndpoint(text)
  return { kind: "endpoint", endpoint, text: endpointText(endpoint) }
}

/** Reads a target of `rdv tcp`: `22`, `host:port`, `unix:/path`. Throws `usage`. */
export function readTcpTarget(text: string): Endpoint {
  return readEndpoint(text.replace(/^tcp:\/\//i, ""))
}

/** `localhost:3000`, `[::1]:80`, `unix:/run/x`. */
export function endpointText(endpoint: Endpoint): string {
  if (endpoint.kind === "unix") return `unix:${endpoint.path}`
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host
  return `${endpoint.tls ? "https://" : ""}${host}:${endpoint.port}`
}

function readUrl(text: string, secure: boolean): Endpoint {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw wrong(text)
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new RdvError("usage", `"${text}" has more than a host and a port`, {
      mend: "a tunnel carries all paths: leave out what stands behind the port",
    })
  }
  const host = url.hostname.replace(/^\[|\]$/g, "")
  return { kind: "tcp", host, port: url.port === "" ? (secure ? 443 : 80) : Number(url.port), tls: secure }
}

function readEndpoint(text: string): Endpoint {
  if (text.startsWith("unix:")) {
    const path = text.slice(5).replace(/^\/\//, "")
    if (path === "") throw wrong(text)
    return { kind: "unix", path }
  }
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):|:)?([0-9]{1,5})$/.exec(text)
  if (match === null) throw wrong(text)
  const port = Number(match[2])
  if (port < 1 || port > 65535) throw new RdvError("usage", `Port ${port} of "${text}" is not between 1 and 65535`)
  return { kind: "tcp", host: match[1]?.replace(/^\[|\]$/g, "") ?? "localhost", port, tls: false }
}

function wrong(text: string): RdvError {
  return new RdvError("usage", `"${text}" is not a target`, {
    mend: "write a port (3000), host:port, a URL, unix:/path or a folder (./public)",
  })
}
