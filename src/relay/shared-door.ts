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
import { Handshakes } from "./handshakes.ts"
import type { RelayLimits } from "./limits.ts"
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
  if (address.scheme === "tls" && secrets !== undefined) return listenSharedTls(address, secrets, relay.limits, greet)
  throw new RdvError("usage", `Channels cannot be served at ${printAddress(address)}`, {
    mend: address.scheme === "tls" ? "give --tls-cert and --tls-key" : "use tcp://, tls:// or unix:",
  })
}

function sniff(link: Link, relay: Relay, guest: Guest, about: GuestConnection, known: () => void): void {
  let head: Uint8Array | undefined
  let whole: PrefixedLink | undefined
  const timer = relay.clock.after(relay.limits.headMs, () => link.abort(new RdvError("timeout", "Nothing was said")))
  link.attach({
    data(bytes) {
      // Read in the same turn as its head: whoever takes the link attaches in a moment.
      if (whole !== undefined) {
        whole.append(bytes)
        return false
      }
      head = head === undefined ? new Uint8Array(bytes) : concat([head, bytes])
      if (head.length < guest.headBytes) return false
      timer.cancel()
      known()
      whole = new PrefixedLink(link, head)
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
  limits: RelayLimits,
  greet: (link: Link, about: GuestConnection) => void,
): Promise<Listener> {
  const inner = tls.createServer({
    ...secrets,
    allowHalfOpen: true,
    handshakeTimeout: limits.tlsHandshakeMs,
    // Whoever asks for no protocol at all is let in as well: other 9P clients know no ALPN.
    ALPNProtocols: [sessionAlpn, "9p"],
    ...(clientCa !== undefined && { requestCert: true, rejectUnauthorized: false, ca: clientCa }),
  })
  const handshakes = new Handshakes(inner, limits.tlsHandshakes, { ...serverOptions, pauseOnConnect: false })
  inner.on("secureConnection", (socket) => {
    const name = socket.authorized ? commonName(socket.getPeerCertificate()) : undefined
    greet(socketLink(socket, { kind: "tls", peer: peerOf(socket), protected: true }), {
      ...(name !== undefined && { certificateName: name }),
    })
  })
  const { host, port } = await listenServer(handshakes.server, address)
  return {
    address: { scheme: "tls", host, port },
    async close() {
      await closeServer(handshakes.server)
      handshakes.cut()
    },
  }
}

function commonName(certificate: tls.PeerCertificate): string | undefined {
  const name = certificate.subject?.CN as string | string[] | undefined
  return Array.isArray(name) ? name[0] : name
}
