/** The public side for raw TCP: a port per route, each connection one stream. */

import * as net from "node:net"
import { adoptSocket, SocketReader } from "../../sockets/socket-reader.ts"
import { splice } from "../../sockets/splice.ts"
import { closeServer, listenServer, serverOptions } from "../../transport/tcp.ts"
import type { RelayLimits } from "../limits.ts"
import type { Route } from "../registry.ts"

export interface TcpIngressOptions {
  /** Where public ports listen; empty for every interface. */
  readonly host: string
  readonly limits: RelayLimits
}

export interface TcpPort {
  readonly port: number
  /** Who gets the connections from now on; undefined refuses them. */
  route: Route | undefined
  close(): void
}

export class TcpIngress {
  readonly #options: TcpIngressOptions
  readonly #ports: Map<number, TcpPort> = new Map()
  readonly #sockets: Set<net.Socket> = new Set()

  constructor(options: TcpIngressOptions) {
    this.#options = options
  }

  get connections(): number {
    return this.#sockets.size
  }

  get ports(): number[] {
    return [...this.#ports.keys()]
  }

  /** The port, already open or newly bound; 0 chooses a free one. Rejects with `in_use` or `usage`. */
  async open(wanted: number): Promise<TcpPort> {
    const known = this.#ports.get(wanted)
    if (known !== undefined) return known
    const port: { port: number; route: Route | undefined; close(): void } = {
      port: wanted,
      route: undefined,
      close: () => {
        this.#ports.delete(port.port)
        void closeServer(server)
      },
    }
    const server = net.createServer(serverOptions, (socket) => this.#take(port, socket))
    port.port = (await listenServer(server, { host: this.#options.host, port: wanted })).port
    this.#ports.set(port.port, port)
    return port
  }

  close(): void {
    for (const port of this.#ports.values()) port.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #take(port: TcpPort, accepted: net.Socket): void {
    const { route } = port
    if (route === undefined || this.#sockets.size >= this.#options.limits.visitors) {
      accepted.resetAndDestroy()
      return
    }
    const reader = new SocketReader()
    reader.borrows = true
    const adopted = adoptSocket(accepted, reader)
    const socket = adopted ?? accepted
    if (adopted === undefined) socket.on("data", (bytes) => void reader.receive(bytes))
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    this.#sockets.add(socket)
    const stream = route.session.open(route.service, { from: socket.remoteAddress ?? "unknown" })
    splice(stream, socket, reader, () => {
      reader.release()
      this.#sockets.delete(socket)
    })
  }
}
