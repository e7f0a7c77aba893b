/** UDP sockets of Node as the datagrams of paths and casts. */

import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { isIPv6 } from "node:net"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { DatagramAddress, DatagramSink, DatagramSocket } from "../paths/datagram-socket.ts"

export interface UdpOptions {
  /** An address of this machine. Default: all IPv4 ones. */
  readonly host?: string
  /** Default: any that is free. */
  readonly port?: number
  /** Several sockets at one port, each getting what comes by multicast. */
  readonly reuse?: boolean
}

/** What the operating system keeps in either direction while the process is busy; it may give less. */
const udpBufferBytes: number = 4 * 1024 * 1024
/** Datagrams that the operating system has not taken at once. */
const mostWaiting = 64
const slotBytes = 2048

/** Rejects `in_use`, `unreachable`. */
export async function openUdp(options: UdpOptions = {}): Promise<DatagramSocket> {
  return new UdpSocket(await bindUdp(options))
}

async function bindUdp({ host = "0.0.0.0", port = 0, reuse = false }: UdpOptions): Promise<Socket> {
  const family = isIPv6(host) ? 6 : 4
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    reuseAddr: reuse,
    // All hosts here are addresses; the default asks the resolver for each datagram.
    lookup: (address, _options, found) => found(null, address, family),
  })
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      socket.close()
      const code = error.code === "EADDRINUSE" ? "in_use" : "unreachable"
      reject(new RdvError(code, `Cannot bind UDP ${host} port ${port}: ${error.message}`, { cause: error }))
    }
    socket.once("error", onError)
    socket.bind(port, host, () => {
      socket.off("error", onError)
      resolve()
    })
  })
  enlarge(socket)
  return socket
}

/** More room for datagrams that wait while the process is busy. */
export function enlarge(socket: Socket): void {
  for (const set of [() => socket.setRecvBufferSize(udpBufferBytes), () => socket.setSendBufferSize(udpBufferBytes)]) {
    try {
      set()
    } catch {
      // As large as the system allows, then; what does not fit is lost and sent again.
    }
  }
}

export class UdpSocket implements DatagramSocket {
  readonly kind = "udp"
  readonly #socket: Socket
  /** Memory of datagrams that may still wait when `send` has returned. */
  readonly #slots: Buffer = Buffer.alloc(mostWaiting * 2 * slotBytes)
  #slot = 0
  #sink: DatagramSink | undefined
  #error: RdvError | undefined

  /** The socket belongs to this one now. */
  constructor(socket: Socket) {
    this.#socket = socket
    // Who shares or gets has a session that keeps the process.
    socket.unref()
    socket.on("error", (error) => {
      // Of one datagram (no route, too large), and the socket goes on; otherwise `close` follows.
      this.#error = asRdvError(error, "unreachable")
    })
  }

  /** Throws before it is bound. */
  get local(): DatagramAddress {
    return this.#socket.address()
  }

  attach(sink: DatagramSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (!isFirst) return
    this.#socket.on("message", (bytes, from) => this.#sink?.datagram(bytes, from))
    this.#socket.on("close", () => this.#sink?.closed(this.#error))
  }

  send(bytes: Uint8Array, { address, port }: DatagramAddress): boolean {
    const socket = this.#socket
    if (bytes.length > slotBytes || socket.getSendQueueCount() >= mostWaiting) return false
    const at = this.#slot * slotBytes
    this.#slot = (this.#slot + 1) % (mostWaiting * 2)
    this.#slots.set(bytes, at)
    try {
      socket.send(this.#slots, at, bytes.length, port, address, ignore)
    } catch {
      // It is closed meanwhile.
      return false
    }
    return true
  }

  close(): void {
    try {
      this.#socket.close()
    } catch {
      // It was closed already.
    }
  }
}

/** A datagram that could not be sent is one that was lost. */
function ignore(): void {}
