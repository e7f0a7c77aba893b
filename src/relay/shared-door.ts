/**
 * A port that sessions share with another protocol: the first bytes tell who is there. The relay takes the sessions; the
 * others are a guest's.
 */

import * as tls from "node:tls"
import { concat } from "../base/bytes.ts"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import { PrefixedLink } from "../transport/prefixed-link.ts"
import { printAddress } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import { socketLink } from "../transport/socket.ts"
import { closeServer, listenServer, listenTcp, peerOf, serverOptions } from "../transport/tcp.ts"
import { sessionAlpn } from "../transport/tls.ts"
import type { Listener } from "../transport/transport.ts"
import { listenUnix } from "../transport/unix.ts"
import { makeRoom } from "./crowd.ts"
import type { Relay } from "./relay.ts"
import type { DoorTls } from "./tls-door.ts"

export interface Guest {
  /** So many bytes tell whose a connection is; fewer than that and it waits. */
  readonly headBytes: number
  isTheirs(head: Uint8Array): boolean
  take(link: Link, about: GuestConnection): void
}

export interface GuestConnection {
  /** The common name of the client's certificate, where one was asked for and verified. */
  readonly certificateName?: string
}

export interface SharedDoorTls extends DoorTls {
  /** Authorities in PEM of client certificates; those who show one of them need nothing else. */
  readonly clientCa?: string
}

/** Rejects with `in_use` or `usage`. */
export async function openSharedDoor(
  relay: Relay,
  address: Address,
  guest: Guest,
  secrets?: SharedDoorTls,
): Promise<Listener> {
  const silent: Set<Link> = new Set()
  const greet = (link: Link, about: GuestConnection = {}) => {
    makeRoom(silent, relay.limits.silent, (oldest) =>
      oldest.abort(new RdvError("limit", "Too many silent connections")),
    )
    silent.add(link)
    sniff(link, relay, guest, about, () => silent.delete(link))
  }
  if (address.scheme === "unix") return listenUnix({ path: address.path }, greet)
  if (address.scheme === "tcp") return listenTcp(address, greet)
  if (address.scheme === "tls" && secrets !== undefined) return listenSharedTls(address, secrets, greet)
  throw new RdvError("usage", `Channels cannot be served at ${printAddress(address)}`, {
    mend: address.scheme === "tls" ? "give --tls-cert and --tls-key" : "use tcp://, tls:// or unix:",
  })
}

function sniff(link: Link, relay: Relay, guest: Guest, about: GuestConnection, known: () => void): void {
  let head: Uint8Array | undefined
  const timer = relay.clock.after(relay.limits.headMs, () => link.abort(new RdvError("timeout", "Nothing was said")))
  link.attach({
    data(bytes) {
      head = head === undefined ? new Uint8Array(bytes) : concat([head, bytes])
      if (head.length < guest.headBytes) return false
      timer.cancel()
      known()
      const whole = new PrefixedLink(link, head)
      if (guest.isTheirs(head)) guest.take(whole, about)
      else relay.takeLink(whole)
      return false
    },
    drain: () => undefined,
    closed() {
      timer.cancel()
      known()
    },
  })
}

async function listenSharedTls(
  address: Address & { readonly scheme: "tcp" | "tls" },
  { clientCa, ...secrets }: SharedDoorTls,
  greet: (link: Link, about: GuestConnection) => void,
): Promise<Listener> {
  const { noDelay, keepAlive, keepAliveInitialDelay } = serverOptions
  const server = tls.createServer({
    ...secrets,
    noDelay: noDelay ?? true,
    keepAlive: keepAlive ?? true,
    keepAliveInitialDelay: keepAliveInitialDelay ?? 0,
    allowHalfOpen: true,
    minVersion: "TLSv1.2",
    handshakeTimeout: 10_000,
    // Whoever asks for no protocol at all is let in as well: other 9P clients know no ALPN.
    ALPNProtocols: [sessionAlpn, "9p"],
    ...(clientCa !== undefined && { requestCert: true, rejectUnauthorized: false, ca: clientCa }),
  })
  server.on("secureConnection", (socket) => {
    const name = socket.authorized ? commonName(socket.getPeerCertificate()) : undefined
    greet(socketLink(socket, { kind: "tls", peer: peerOf(socket), protected: true }), {
      ...(name !== undefined && { certificateName: name }),
    })
  })
  server.on("tlsClientError", (_error, socket) => socket.destroy())
  const { host, port } = await listenServer(server, address)
  return { address: { scheme: "tls", host, port }, close: () => closeServer(server) }
}

function commonName(certificate: tls.PeerCertificate): string | undefined {
  const name = certificate.subject?.CN as string | string[] | undefined
  return Array.isArray(name) ? name[0] : name
}
