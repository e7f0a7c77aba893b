/**
 * TLS with the ALPN name `rdv/1`, so that sessions and visitors share one port. Certificates are verified always: against
 * the system's authorities, a given one, or, in their place, a pinned fingerprint.
 */

import { createHash } from "node:crypto"
import * as net from "node:net"
import * as tls from "node:tls"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { printAddress, printHostPort } from "./address.ts"
import { cannotReach, untilEvent } from "./connect.ts"
import { connectSocket } from "./proxy.ts"
import { socketLink } from "./socket.ts"
import { closeServer, listenServer, peerOf, serverOptions } from "./tcp.ts"
import type { TcpDialLimits, TcpListenOptions } from "./tcp.ts"
import type { Listener } from "./transport.ts"

/** Tells sessions from HTTP on a shared TLS port (RFC 7301). */
export const sessionAlpn = "rdv/1"

export interface TlsTrust {
  /** Authorities in PEM, in place of the system's. */
  readonly ca?: string | readonly string[]
  /** The SHA-256 of the server's certificate in hex, with or without colons. It replaces every other check. */
  readonly pinSha256?: string
  /** The name that is asked for and checked. Default: the address's host. */
  readonly servername?: string
}

export interface TlsDialLimits extends TcpDialLimits, TlsTrust {}

export interface TlsListenOptions extends TcpListenOptions {
  /** PEM, the server's certificate first. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** Hears of handshakes that failed; strangers cause them, so they are no failure of ours. */
  readonly onHandshakeError?: (error: Error, peer: string) => void
}

export async function dialTls(address: Address, limits: TlsDialLimits): Promise<Link> {
  if (address.scheme !== "tls") throw new RdvError("usage", `${printAddress(address)} is not a tls address`)
  const socket = await connectTls(address, sessionAlpn, limits)
  if (socket.alpnProtocol !== sessionAlpn) {
    socket.destroy()
    throw new RdvError("protocol", `${printAddress(address)} speaks TLS, but not ${sessionAlpn}`, {
      mend: `check the port, or use https:// when something in between terminates TLS`,
    })
  }
  const { closeMs } = limits
  return socketLink(socket, {
    kind: "tls",
    peer: printAddress(address),
    protected: true,
    ...(closeMs !== undefined && { closeMs }),
  })
}

/** A verified TLS connection, paused. Rejects with `unreachable` when the certificate is not to be trusted. */
export async function connectTls(
  target: { readonly host: string; readonly port: number },
  alpn: string,
  limits: TlsDialLimits,
): Promise<tls.TLSSocket> {
  const pin = limits.pinSha256 === undefined ? undefined : readPin(limits.pinSha256)
  const started = performance.now()
  const { socket: plain, head } = await connectSocket(target, limits)
  const host = target.host === "" ? "localhost" : target.host
  const place = printHostPort(host, target.port)
  if (head.length > 0) {
    plain.destroy()
    throw new RdvError("protocol", `${place} sent bytes before the TLS handshake`)
  }
  const name = limits.servername ?? host
  const secured = tls.connect({
    socket: plain,
    ALPNProtocols: [alpn],
    minVersion: "TLSv1.2",
    // The pin is checked below, before the first byte of ours leaves; it stands in for the chain and the name.
    rejectUnauthorized: pin === undefined,
    // An IP address may not be sent as a name (RFC 6066 section 3); the certificate is checked against it all the same.
    ...(net.isIP(name) === 0 ? { servername: name } : { host: name, servername: "" }),
    ...(limits.ca !== undefined && { ca: limits.ca as string | string[] }),
  })
  const timeoutMs = Math.max(1, limits.timeoutMs - (performance.now() - started))
  await untilEvent(secured, "secureConnect", place, { ...limits, timeoutMs }, cannotTrust)
  if (pin !== undefined) {
    const found = createHash("sha256").update(secured.getPeerCertificate().raw).digest("hex")
    if (found !== pin) {
      secured.destroy()
      throw new RdvError(
        "unreachable",
        `The certificate of ${place} is not the pinned one: it has the SHA-256 ${found}`,
        {
          mend: "pin this value if the certificate was renewed on purpose",
        },
      )
    }
  }
  secured.pause()
  return secured
}

export async function listenTls(options: TlsListenOptions, onLink: (link: Link) => void): Promise<Listener> {
  const { noDelay, keepAlive, keepAliveInitialDelay } = serverOptions
  const server = tls.createServer({
    noDelay: noDelay ?? true,
    keepAlive: keepAlive ?? true,
    keepAliveInitialDelay: keepAliveInitialDelay ?? 0,
    allowHalfOpen: true,
    cert: options.cert,
    key: options.key,
    minVersion: "TLSv1.2",
    ALPNProtocols: [sessionAlpn],
    handshakeTimeout: 10_000,
  })
  server.on("secureConnection", (socket) => {
    if (socket.alpnProtocol === sessionAlpn) {
      onLink(socketLink(socket, { kind: "tls", peer: peerOf(socket), protected: true }))
      return
    }
    options.onHandshakeError?.(new RdvError("protocol", `A client did not ask for ${sessionAlpn}`), peerOf(socket))
    socket.on("error", () => undefined)
    socket.destroy()
  })
  server.on("tlsClientError", (error, socket) => options.onHandshakeError?.(error, peerOf(socket)))
  const { host, port } = await listenServer(server, options)
  return { address: { scheme: "tls", host, port }, close: () => closeServer(server) }
}

function readPin(text: string): string {
  const pin = text.replaceAll(":", "").toLowerCase()
  if (/^[0-9a-f]{64}$/.test(pin)) return pin
  throw new RdvError("usage", `The certificate pin ${JSON.stringify(text)} is not a SHA-256`, {
    mend: "write its 64 hexadecimal digits",
  })
}

const reasons: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its authority is not trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its authority is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its authority is not trusted here",
  CERT_HAS_EXPIRED: "it has expired",
  CERT_NOT_YET_VALID: "it is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "it is for another name",
}

function cannotTrust(place: string, error: NodeJS.ErrnoException): RdvError {
  const reason = reasons[error.code ?? ""]
  if (reason !== undefined) {
    return new RdvError("unreachable", `The certificate of ${place} is not accepted: ${reason}`, {
      cause: error,
      mend: "check the name and the clock, give the authority, or pin the certificate",
    })
  }
  if (error.code === "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL") {
    return new RdvError("protocol", `${place} speaks TLS, but not the protocol that was asked for`, { cause: error })
  }
  if (error.code?.startsWith("ERR_SSL_") === true) {
    return new RdvError("protocol", `${place} does not speak TLS as expected: ${error.code}`, { cause: error })
  }
  return cannotReach(place, error)
}
