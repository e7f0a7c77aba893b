/**
 * The public port without TLS. The first byte tells who is there: `0x10` is a session's HELLO, `0x16` would be TLS, letters
 * begin a visitor's HTTP request, and what lies above them may be a guest's (`newcomers.ts`).
 */

import * as net from "node:net"
import { adoptSocket, SocketReader } from "../sockets/socket-reader.ts"
import { socketLink } from "../transport/socket.ts"
import { peerOf, serverOptions } from "../transport/tcp.ts"
import { frameType } from "../wire/frame.ts"
import { makeRoom } from "./crowd.ts"
import type { Relay } from "./relay.ts"

export class PlainDoor {
  /** Whoever opens the door listens with it; `tryAdoption` has to be done before. */
  readonly server: net.Server
  readonly #relay: Relay
  /** Those that were greeted and said nothing yet, oldest first. */
  readonly #silent: Set<net.Socket> = new Set()
  #turnedAway = 0

  constructor(relay: Relay) {
    this.#relay = relay
    this.server = net.createServer(serverOptions, (socket) => this.#greet(socket))
  }

  get pending(): number {
    return this.#silent.size
  }

  get turnedAway(): number {
    return this.#turnedAway
  }

  /** Cuts those that have not said anything yet. */
  cut(): void {
    for (const socket of this.#silent) socket.destroy()
  }

  #greet(accepted: net.Socket): void {
    const relay = this.#relay
    const reader = new SocketReader()
    const adopted = adoptSocket(accepted, reader)
    const socket = adopted ?? accepted
    if (adopted === undefined) socket.on("data", (bytes) => void reader.receive(bytes))
    socket.setNoDelay(true)
    const giveUp = () => void socket.destroy()
    socket.on("error", giveUp)
    socket.on("end", giveUp)
    makeRoom(this.#silent, relay.limits.silent, (oldest) => {
      this.#turnedAway++
      oldest.destroy()
    })
    this.#silent.add(socket)
    const timer = setTimeout(giveUp, relay.limits.headMs)
    const heard = () => {
      clearTimeout(timer)
      this.#silent.delete(socket)
    }
    socket.once("close", heard)
    reader.receive = (bytes) => {
      heard()
      socket.off("error", giveUp)
      socket.off("end", giveUp)
      if (bytes[0] === frameType.hello) {
        socket.pause()
        socket.setKeepAlive(true, keepAliveMs)
        relay.takeLink(socketLink(socket, { kind: "tcp", peer: peerOf(socket), protected: false, reader, head: bytes }))
        return true
      }
      const guest = relay.newcomers.guest(bytes[0])
      if (guest !== undefined) {
        socket.pause()
        socket.setKeepAlive(true, keepAliveMs)
        guest(socketLink(socket, { kind: "tcp", peer: peerOf(socket), protected: false, reader }), bytes)
        return true
      }
      if (bytes[0] === tlsHandshake) {
        reader.receive = () => false
        socket.on("error", giveUp)
        socket.write(tlsOnPlainPort)
        socket.destroySoon()
        return false
      }
      relay.http.take(socket, reader, "http", bytes)
      return true
    }
    socket.resume()
  }
}

/** Dead links are found by pings; this is for the kernel's own bookkeeping, ms. */
const keepAliveMs = 30_000

/** TLS begins its first record with this byte (RFC 8446 section 5.1). */
const tlsHandshake = 0x16

/** A fatal `protocol_version` alert would be puzzling; browsers show plain text behind a failed handshake to nobody. */
const tlsOnPlainPort: Buffer = Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])
