/**
 * TLS handshakes in bounds. A handshake costs a stranger nothing and us a signature and some 40 KiB, so their number is
 * bounded before Node's TLS server sees a connection. Who is let in while it is full: one that has not even begun is
 * turned away first, the oldest of them; when all have begun, the newest is, because those before it are nearly done.
 */

import * as net from "node:net"
import type * as tls from "node:tls"
import { peerOf } from "../transport/tcp.ts"

export class Handshakes {
  /** Whoever opens the door listens with it. */
  readonly server: net.Server
  readonly #tls: tls.Server
  readonly #most: number
  /** Connections before the end of their handshake by their peer's address, oldest first. */
  readonly #pending: Map<string, net.Socket> = new Map()
  #turnedAway = 0

  /** `inner` never listens: it gets connections from here. */
  constructor(inner: tls.Server, most: number, options: net.ServerOpts) {
    this.#tls = inner
    this.#most = most
    this.#tls.on("secureConnection", (socket) => this.#pending.delete(peerOf(socket)))
    // Port scans and plain HTTP on the TLS port: nothing of ours is wrong.
    this.#tls.on("tlsClientError", (_error, socket) => socket.destroy())
    this.server = net.createServer(options, (socket) => this.#greet(socket))
  }

  get pending(): number {
    return this.#pending.size
  }

  get turnedAway(): number {
    return this.#turnedAway
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
    if (this.#pending.size < this.#most) return true
    for (const [peer, socket] of this.#pending) {
      if (socket.bytesRead > 0) continue
      this.#pending.delete(peer)
      this.#turnedAway++
      socket.destroy()
      return true
    }
    return false
  }
}
