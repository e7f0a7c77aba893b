/** The public port under TLS: the protocol that a client asks for tells who is there. */

import type * as net from "node:net"
import * as tls from "node:tls"
import { SocketReader } from "../sockets/socket-reader.ts"
import { socketLink } from "../transport/socket.ts"
import { peerOf } from "../transport/tcp.ts"
import { sessionAlpn } from "../transport/tls.ts"
import { Handshakes } from "./handshakes.ts"
import type { Relay } from "./relay.ts"

/** Both PEM; the server's certificate first, then those between it and its authority. */
export interface DoorTls {
  readonly key: string | Buffer
  readonly cert: string | Buffer
}

export class TlsDoor {
  readonly #relay: Relay
  readonly #tls: tls.Server
  readonly #handshakes: Handshakes

  constructor(relay: Relay, secrets: DoorTls) {
    this.#relay = relay
    this.#tls = tls.createServer({
      ...secrets,
      ALPNProtocols: [sessionAlpn, "http/1.1"],
      allowHalfOpen: true,
      // From the accept to the end of the handshake, however often a byte comes.
      handshakeTimeout: relay.limits.tlsHandshakeMs,
    })
    this.#handshakes = new Handshakes(this.#tls, relay.limits.tlsHandshakes, { allowHalfOpen: true, noDelay: true })
    this.#tls.on("secureConnection", (socket) => this.#welcome(socket))
  }

  /** Whoever opens the door listens with it. */
  get server(): net.Server {
    return this.#handshakes.server
  }

  get pending(): number {
    return this.#handshakes.pending
  }

  get turnedAway(): number {
    return this.#handshakes.turnedAway
  }

  /** Shows another certificate from the next handshake on. Throws what Node says about a pair that it cannot use. */
  renew(secrets: DoorTls): void {
    this.#tls.setSecureContext({ ...secrets })
  }

  /** Cuts those that have not come in yet. */
  cut(): void {
    this.#handshakes.cut()
  }

  #welcome(socket: tls.TLSSocket): void {
    if (socket.alpnProtocol === sessionAlpn) {
      socket.pause()
      this.#relay.greet(socketLink(socket, { kind: "tls", peer: peerOf(socket), protected: true }))
      return
    }
    const reader = new SocketReader()
    socket.on("data", (bytes) => void reader.receive(bytes))
    this.#relay.http.take(socket, reader, "https", noBytes)
  }
}

const noBytes = new Uint8Array(0)
