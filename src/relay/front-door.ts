/**
 * The relay's one public port. The first byte tells who is there: `0x10` is a session's HELLO, `0x16` would be TLS, and
 * letters begin a visitor's HTTP request. On a TLS port the negotiated protocol tells.
 */

import * as net from "node:net"
import * as tls from "node:tls"
import { RdvError } from "../base/error.ts"
import { frameType } from "../wire/frame.ts"
import { adoptSocket, SocketReader, tryAdoption } from "../sockets/socket-reader.ts"
import { socketLink } from "../transport/socket.ts"
import { closeServer, listenServer, peerOf, serverOptions } from "../transport/tcp.ts"
import { sessionAlpn } from "../transport/tls.ts"
import type { Listener } from "../transport/transport.ts"
import { listenUnix } from "../transport/unix.ts"
import type { Address } from "../transport/address.ts"
import { makeRoom } from "./crowd.ts"
import type { Relay } from "./relay.ts"

export interface DoorTls {
  readonly key: string | Buffer
  readonly cert: string | Buffer
}

/** A stranger that sends nothing is let go after this, ms. */
const silentMs = 10_000

/** TLS begins its first record with this byte (RFC 8446 section 5.1). */
const tlsHandshake = 0x16

/** Listens at an address of scheme tcp, tls or unix. Rejects with `in_use` or `usage`. */
export async function openDoor(relay: Relay, address: Address, secrets: DoorTls | undefined): Promise<Listener> {
  if (address.scheme === "unix") return listenUnix({ path: address.path }, (link) => relay.takeLink(link))
  if (address.scheme !== "tcp" && address.scheme !== "tls") {
    throw new RdvError("usage", `A relay cannot listen at ${address.scheme}`, { mend: "use tcp://, tls:// or unix:" })
  }
  await tryAdoption()
  const { scheme } = address
  const server = scheme === "tls" ? tlsServer(relay, secrets) : plainServer(relay)
  const bound = await listenServer(server, address)
  return { address: { scheme, ...bound }, close: () => closeServer(server) }
}

function plainServer(relay: Relay): net.Server {
  const silent = new Set<net.Socket>()
  return net.createServer(serverOptions, (socket) => greet(relay, silent, socket))
}

/** `silent` has those that were greeted and said nothing yet, oldest first. */
function greet(relay: Relay, silent: Set<net.Socket>, accepted: net.Socket): void {
  const reader = new SocketReader()
  const adopted = adoptSocket(accepted, reader)
  const socket = adopted ?? accepted
  if (adopted === undefined) socket.on("data", (bytes) => void reader.receive(bytes))
  socket.setNoDelay(true)
  const giveUp = () => void socket.destroy()
  socket.on("error", giveUp)
  socket.on("end", giveUp)
  makeRoom(silent, relay.limits.silent, (oldest) => oldest.destroy())
  silent.add(socket)
  const timer = setTimeout(giveUp, silentMs)
  const heard = () => {
    clearTimeout(timer)
    silent.delete(socket)
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

/** Dead links are found by pings; this is for the kernel's own bookkeeping, ms. */
const keepAliveMs = 30_000

/** A fatal `protocol_version` alert would be puzzling; browsers show plain text behind a failed handshake to nobody. */
const tlsOnPlainPort: Buffer = Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])

function tlsServer(relay: Relay, secrets: DoorTls | undefined): tls.Server {
  if (secrets === undefined) {
    throw new RdvError("usage", "A tls:// address needs a certificate", { mend: "give --tls-cert and --tls-key" })
  }
  const server = tls.createServer({
    ...secrets,
    ALPNProtocols: [sessionAlpn, "http/1.1"],
    allowHalfOpen: true,
    handshakeTimeout: silentMs,
    noDelay: true,
  })
  server.on("secureConnection", (socket) => {
    if (socket.alpnProtocol === sessionAlpn) {
      socket.pause()
      relay.takeLink(socketLink(socket, { kind: "tls", peer: peerOf(socket), protected: true }))
      return
    }
    const reader = new SocketReader()
    socket.on("data", (bytes) => void reader.receive(bytes))
    relay.http.take(socket, reader, "https", noBytes)
  })
  // Port scans and plain HTTP on the TLS port: nothing of ours is wrong.
  server.on("tlsClientError", (_error, socket) => socket.destroy())
  return server
}

const noBytes = new Uint8Array(0)
