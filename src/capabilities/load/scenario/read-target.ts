/** Targets as people write them: `tcp://host:port`, `tls://`, `http://`, `https://`, `ws://`, `wss://`, `unix:/path`. */

import { hostPortText, readHost, readHostPort } from "../../../config/host-port.ts"
import { wholeFrom, wrong } from "../../../config/quantity.ts"
import type { Protocol, Target } from "./scenario.ts"
import type { Resolution } from "./settings.ts"

const mend = "write tcp://host:port, tls://, http://, https://, ws://, wss:// or unix:/path"

/** The label is the target as it is written, in its plainest form; reading that gives the same target. Throws `usage`. */
export function readTarget(text: string): Target {
  const [, scheme = "", rest = ""] = /^([a-z]+):(.*)$/is.exec(text) ?? []
  const protocol = scheme.toLowerCase()
  switch (protocol) {
    case "tcp":
    case "tls":
      return streamTarget(text, protocol, rest)
    case "http":
    case "https":
    case "ws":
    case "wss":
      return urlTarget(text, protocol)
    case "unix": {
      const path = rest.replace(/^\/\/(?=\/)/, "")
      if (path === "" || path.startsWith("//")) throw wrong(text, "has no path", "write unix:/path")
      if (path.includes("\0")) throw wrong(text, "has a path that cannot be", "write unix:/path")
      return { label: `unix:${path}`, protocol, host: "", port: 0, path }
    }
    default: {
      const hostPort = /^[^/\s]+:\d{1,5}$/.test(text)
      throw wrong(text, "is no target", hostPort ? `write tcp://${text} or http://${text}` : mend)
    }
  }
}

/** Whether it looks like a target rather than a file. */
export function looksLikeTarget(text: string): boolean {
  return /^[a-z]{2,}:\/\//i.test(text) || /^unix:/i.test(text)
}

function streamTarget(text: string, protocol: "tcp" | "tls", rest: string): Target {
  if (!rest.startsWith("//")) throw wrong(text, "has no // behind the scheme", `write ${protocol}://host:port`)
  const authority = rest.slice(2).replace(/\/$/, "")
  if (/[/?#@]/.test(authority)) throw wrong(text, "has more than a host and a port", `write ${protocol}://host:port`)
  const { host, port } = readHostPort(authority)
  return { label: `${protocol}://${hostPortText({ host, port })}`, protocol, host, port, path: "" }
}

const ports: Readonly<Record<string, number>> = { http: 80, ws: 80, https: 443, wss: 443 }

function urlTarget(text: string, protocol: Exclude<Protocol, "tcp" | "tls" | "unix">): Target {
  const url = URL.parse(text)
  if (url === null || !/^[a-z]+:\/\/[^/]/i.test(text)) throw wrong(text, "is no URL", `write ${protocol}://host/path`)
  if (url.username !== "" || url.password !== "") {
    throw wrong(text, "has a user in it", "say it with a header: 'Authorization: Basic …'")
  }
  if (url.hash !== "") throw wrong(text, "has a # part, which is never sent", "leave it out")
  const port = url.port === "" ? (ports[protocol] as number) : Number(url.port)
  if (port === 0) throw wrong(text, "has the port 0", "change it")
  const host = url.hostname.replace(/^\[|\]$/g, "")
  return { label: url.href, protocol, host, port, path: `${url.pathname}${url.search}` }
}

/** `HOST=ADDRESS` or `HOST:PORT=ADDRESS`. Throws `usage`. */
export function readResolution(text: string): Resolution {
  const equals = text.lastIndexOf("=")
  if (equals < 1) throw wrong(text, "is not HOST=ADDRESS", "write HOST=ADDRESS or HOST:PORT=ADDRESS")
  const [from, to] = [text.slice(0, equals), text.slice(equals + 1)]
  const [, host = from, port] = /^(\[.*\]|[^:]*):(\d+)$/.exec(from) ?? []
  return {
    host: readHost(host, text).toLowerCase(),
    port: port === undefined ? undefined : wholeFrom(1, 65_535)(port),
    address: readHost(to, text),
  }
}
