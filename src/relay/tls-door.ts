/**
 * The public port under TLS. A handshake costs a stranger nothing and us a signature and some 40 KiB, so their number is
 * bounded before Node's TLS server sees a connection. Who is let in while it is full: one that has not even begun is
 * turned away first, the oldest of them; when all have begun, the newest is, because those before it are nearly done.
 */

import * as net from "node:net"
import * as tls from "node:tls"
import { SocketReader } from "../sockets/socket-reader.ts"
import { socketLink } from "../transport/socket.ts"
import { peerOf } from "../transport/tcp.ts"
import { sessionAlpn } from "../transport/tls.ts"
import type { Relay } from "./relay.ts"

/** Both PEM; the server's certificate first, then those between it and its authority. */
export interface DoorTls {
  readonly key: string | Buffer
  readonly cert: string | Buffer
}

export class TlsDoor {
  /** Whoever opens the door listens with it. */
  readonly server: net.Server
  readonly #relay: Relay
  readonly #tls: tls.Server
  /** Connections before the end of their handshake by their peer's address, oldest first. */
  readonly #pending: Map<string, net.Socket> = new Map()
  #turnedAway = 0

  constructor(relay: Relay, secrets: DoorTls) {
    this.#relay = relay
    this.#tls = tls.createServer({
      ...secrets,
      ALPNProtocols: [sessionAlpn, "http/1.1"],
      allowHalfOpen: true,
      // From the accept to the end of the handshake, however often a byte comes.
      handshakeTimeout: relay.limits.tlsHandshakeMs,
    })
    this.#tls.on("secureConnection", (socket) => this.#welcome(socket))
    // Port scans and plain HTTP on the TLS port: nothing of ours is wrong.
    this.#tls.on("tlsClientError", (_error, socket) => socket.destroy())
    this.server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#greet(socket))
  }

  get pending(): number {
    return this.#pending.size
  }

  get turnedAway(): number {
    return this.#turnedAway
  }

  /** Shows another certificate from the next handshake on. Throws what Node says about a pair that it cannot use. */
  renew(secrets: DoorTls): void {
    this.#tls.setSecureContext({ ...secrets })
  }

  /** Cuts those that have not come in yet. */
  cut(): void {
    for (const socket of this.#pending.values()) socket.destroy()
  }

  #greet(socket: net.Socket): void {
    if (!this.#hasRoom()) {
      this.#turnedAway++
      socket.destroy()
      return
    }
    const peer = peerOf(socket)
    this.#pending.set(peer, socket)
    socket.once("close", () => {
      if (this.#pending.get(peer) === socket) this.#pending.delete(peer)
    })
    // A documented way in: https://nodejs.org/api/tls.html#event-connection
    this.#tls.emit("connection", socket)
  }

  #hasRoom(): boolean {
    if (this.#pending.size < this.#relay.limits.tlsHandshakes) return true
    for (const [peer, socket] of this.#pending) {
      if (socket.bytesRead > 0) continue
      this.#pending.delete(peer)
      this.#turnedAway++
      socket.destroy()
      return true
    }
    return false
  }

  #welcome(socket: tls.TLSSocket): void {
    const peer = peerOf(socket)
    this.#pending.delete(peer)
    if (socket.alpnProtocol === sessionAlpn) {
      socket.pause()
      this.#relay.takeLink(socketLink(socket, { kind: "tls", peer, protected: true }))
      return
    }
    const reader = new SocketReader()
    socket.on("data", (bytes) => void reader.receive(bytes))
    this.#relay.http.take(socket, reader, "https", noBytes)
  }
}

const noBytes = new Uint8Array(0)
