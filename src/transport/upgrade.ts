/**
 * Sessions through what only lets HTTP pass: an HTTP/1.1 request that is upgraded to `rdv/1` (RFC 9110 section 7.8), after
 * which the connection carries frames as if it were plain TCP or TLS.
 *
 *     GET /.rdv/session HTTP/1.1            HTTP/1.1 101 Switching Protocols
 *     Host: relay.example        ─▶         Connection: Upgrade
 *     Connection: Upgrade        ◀─         Upgrade: rdv/1
 *     Upgrade: rdv/1
 */

import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"
import { RdvError } from "../base/error.ts"
import { hasToken } from "../base/header-fields.ts"
import { latin1Encode } from "../base/text.ts"
import type { Link } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { printAddress, printHostPort } from "./address.ts"
import { connectSocket } from "./proxy.ts"
import { readResponseHead } from "./response-head.ts"
import { acceptedLink } from "./socket.ts"
import { tryAdoption } from "../sockets/socket-reader.ts"
import { peerOf } from "./tcp.ts"
import { connectTls } from "./tls.ts"
import type { TlsDialLimits } from "./tls.ts"

export const upgradeToken = "rdv/1"

/** Takes `http` and `https` addresses. */
export async function dialUpgrade(address: Address, limits: TlsDialLimits): Promise<Link> {
  if (address.scheme !== "http" && address.scheme !== "https") {
    throw new RdvError("usage", `${printAddress(address)} is not an http address`)
  }
  const started = performance.now()
  const secure = address.scheme === "https"
  await tryAdoption()
  const place = printAddress(address)
  const opened = secure
    ? { socket: await connectTls(address, "http/1.1", limits), head: undefined }
    : await connectSocket(address, limits)
  const { socket } = opened
  if (opened.head !== undefined && opened.head.length > 0) socket.unshift(opened.head)
  const isDefaultPort = address.port === (secure ? 443 : 80)
  const authority = printHostPort(
    address.host === "" ? "localhost" : address.host,
    isDefaultPort ? undefined : address.port,
  )
  socket.write(
    `GET ${address.path} HTTP/1.1\r\nHost: ${authority}\r\nConnection: Upgrade\r\nUpgrade: ${upgradeToken}\r\n\r\n`,
  )
  const timeoutMs = Math.max(1, limits.timeoutMs - (performance.now() - started))
  const head = await readResponseHead(socket, place, { ...limits, timeoutMs })
  if (head.status !== 101 || head.fields.get("upgrade")?.toLowerCase() !== upgradeToken) {
    socket.destroy()
    throw refused(place, head.status, head.statusText)
  }
  const { closeMs } = limits
  return acceptedLink(socket, {
    kind: "upgrade",
    peer: place,
    protected: secure,
    head: head.rest,
    ...(closeMs !== undefined && { closeMs }),
  })
}

/** True for a request that asks for `rdv/1`. `headers` is a flat list of names and values as they came. */
export function asksForSession(headers: readonly string[]): boolean {
  return hasToken(headers, "connection", "upgrade") && hasToken(headers, "upgrade", upgradeToken)
}

/**
 * Answers a GET that `asksForSession` with 101, and takes the socket over. `head` is what was read behind the request;
 * the link delivers it first. Nothing may be listening to the socket any more, and nothing may be buffered in it.
 */
export function acceptUpgrade(socket: Socket, headers: readonly string[], head: Uint8Array): Link {
  if (!asksForSession(headers)) {
    throw new RdvError("protocol", `The request does not ask for an upgrade to ${upgradeToken}`, { origin: "remote" })
  }
  const secure = socket instanceof TLSSocket
  const link = acceptedLink(socket, { kind: "upgrade", peer: peerOf(socket), protected: secure, head })
  link.send([
    latin1Encode(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgradeToken}\r\n\r\n`),
  ])
  return link
}

function refused(place: string, status: number, statusText: string): RdvError {
  const text = `${place} answered "${statusText}" where a session was asked for`
  if (status === 401 || status === 407) return new RdvError("unauthorized", text, { origin: "remote" })
  if (status === 403) {
    return new RdvError("forbidden", text, { origin: "remote", mend: "see whether a proxy in between forbids it" })
  }
  if (status === 429 || status >= 500) return new RdvError("unreachable", text, { origin: "remote" })
  return new RdvError("protocol", text, { origin: "remote", mend: "check that the address is that of a relay" })
}
