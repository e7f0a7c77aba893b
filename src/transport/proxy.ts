/** Opens a connection through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6), for networks that let nothing else out. */

import * as net from "node:net"
import * as tls from "node:tls"
import { emptyBytes } from "../base/bytes.ts"
import { RdvError } from "../base/error.ts"
import { printHostPort } from "./address.ts"
import { connectDirectly, untilEvent } from "./connect.ts"
import { readResponseHead } from "./response-head.ts"
import type { DialLimits } from "./transport.ts"

export interface ProxyLimits extends DialLimits {
  /** Opens the connection for us; without one it goes straight to the target. */
  readonly proxy?: URL
  /** Finds the addresses of names. Default: the system, asked each time. */
  readonly lookup?: net.LookupFunction
}

export interface Connected {
  /** Paused. */
  readonly socket: net.Socket
  /** What arrived behind the proxy's answer. */
  readonly head: Uint8Array
}

/** Straight, or through the proxy. An empty host is this machine. */
export async function connectSocket(
  target: { readonly host: string; readonly port: number },
  limits: ProxyLimits,
): Promise<Connected> {
  const host = target.host === "" ? "localhost" : target.host
  if (limits.proxy !== undefined) return connectThroughProxy({ host, port: target.port }, limits.proxy, limits)
  const place = printHostPort(host, target.port)
  return { socket: await connectDirectly({ host, port: target.port }, limits, place), head: emptyBytes }
}

/**
 * `proxy` is `http://host:port` or `https://host:port`, with `user:password@` where it asks for them (Basic).
 * Rejects with `unreachable`, `timeout`, `unauthorized` (407), `forbidden` (403) or `usage`.
 */
export async function connectThroughProxy(
  target: { readonly host: string; readonly port: number },
  proxy: URL,
  limits: ProxyLimits,
): Promise<Connected> {
  if (proxy.protocol !== "http:" && proxy.protocol !== "https:") {
    throw new RdvError("usage", `The proxy ${proxy.protocol}//${proxy.host} is not an HTTP proxy`, {
      mend: "use http://host:port or https://host:port",
    })
  }
  const secure = proxy.protocol === "https:"
  const host = proxy.hostname.replace(/^\[|\]$/g, "")
  const port = proxy.port === "" ? (secure ? 443 : 80) : Number(proxy.port)
  const place = `the proxy ${printHostPort(host, port)}`
  let socket: net.Socket = await connectDirectly({ host, port }, limits, place)
  if (secure) {
    const secured = tls.connect({ socket, ...(net.isIP(host) === 0 && { servername: host }) })
    await untilEvent(secured, "secureConnect", place, limits)
    socket = secured
  }
  const authority = printHostPort(target.host, target.port)
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization(proxy)}\r\n`)
  const head = await readResponseHead(socket, place, limits)
  if (head.status >= 200 && head.status < 300) return { socket, head: head.rest }
  socket.destroy()
  throw refusedByProxy(head.status, `${place} answered "${head.statusText}" for ${authority}`)
}

function authorization(proxy: URL): string {
  if (proxy.username === "" && proxy.password === "") return ""
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  return `Proxy-Authorization: Basic ${Buffer.from(pair, "utf8").toString("base64")}\r\n`
}

function refusedByProxy(status: number, what: string): RdvError {
  const text = what.charAt(0).toUpperCase() + what.slice(1)
  if (status === 407) {
    return new RdvError("unauthorized", text, { mend: "put user:password@ into the address of the proxy" })
  }
  if (status === 403)
    return new RdvError("forbidden", text, { mend: "ask its administrator to allow that host and port" })
  return new RdvError("unreachable", text)
}
