/** Plain TCP: within a machine, or inside something that already protects it. */

import * as net from "node:net"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { printAddress, printHostPort } from "./address.ts"
import { connectDirectly } from "./connect.ts"
import { connectSocket } from "./proxy.ts"
import type { ProxyLimits } from "./proxy.ts"
import { acceptedLink, socketLink } from "./socket.ts"
import { SocketReader, tryAdoption } from "../sockets/socket-reader.ts"
import type { Listener } from "./transport.ts"

export interface TcpDialLimits extends ProxyLimits {
  /** How long `close` waits for the peer's end. Default 5000. */
  readonly closeMs?: number
}

export interface TcpListenOptions {
  /** Empty for every interface. */
  readonly host: string
  readonly port: number
  /** Several processes or workers share the port (Linux, some BSDs). */
  readonly reusePort?: boolean
}

export async function dialTcp(address: Address, limits: TcpDialLimits): Promise<Link> {
  if (address.scheme !== "tcp") throw new RdvError("usage", `${printAddress(address)} is not a tcp address`)
  const { closeMs } = limits
  const common = {
    kind: "tcp",
    peer: printAddress(address),
    protected: false,
    ...(closeMs !== undefined && { closeMs }),
  }
  if (limits.proxy !== undefined) {
    await tryAdoption()
    const { socket, head } = await connectSocket(address, limits)
    return acceptedLink(socket, { ...common, head })
  }
  const reader = new SocketReader()
  const target = { host: address.host === "" ? "localhost" : address.host, port: address.port }
  const socket = await connectDirectly(target, { ...limits, reader }, printHostPort(target.host, target.port))
  return socketLink(socket, { ...common, reader })
}

export async function listenTcp(options: TcpListenOptions, onLink: (link: Link) => void): Promise<Listener> {
  await tryAdoption()
  const server = net.createServer(serverOptions, (socket) => {
    onLink(acceptedLink(socket, { kind: "tcp", peer: peerOf(socket), protected: false }))
  })
  const { host, port } = await listenServer(server, options)
  return { address: { scheme: "tcp", host, port }, close: () => closeServer(server) }
}

/** What every server of links is made with: nothing is read before somebody attaches. */
export const serverOptions: net.ServerOpts = {
  allowHalfOpen: true,
  pauseOnConnect: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
}

/** Who is at the other end of an accepted socket. */
export function peerOf(socket: net.Socket): string {
  return printHostPort(socket.remoteAddress ?? "unknown", socket.remotePort)
}

/** Binds; answers with the port that was chosen. Rejects with `in_use` or `usage`. */
export async function listenServer(
  server: net.Server,
  options: TcpListenOptions,
): Promise<{ host: string; port: number }> {
  const { host, port } = options
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(printHostPort(host, port), error)))
    server.listen({ port, ...(host !== "" && { host }), reusePort: options.reusePort ?? false, backlog: 1024 }, resolve)
  })
  server.removeAllListeners("error")
  // After the bind, errors are of single accepts (out of descriptors): the listener goes on.
  server.on("error", () => undefined)
  return { host, port: (server.address() as net.AddressInfo).port }
}

/** Frees the address at once; does not wait for the connections, they belong to whoever took them. */
export async function closeServer(server: net.Server): Promise<void> {
  if (server.listening) server.close()
}

export function cannotListen(place: string, error: NodeJS.ErrnoException): RdvError {
  switch (error.code) {
    case "EADDRINUSE":
      return new RdvError("in_use", `${place} is in use by another process`, {
        cause: error,
        mend: "stop that process or choose another port",
      })
    case "EACCES":
      return new RdvError("usage", `This user may not listen on ${place}`, {
        cause: error,
        mend: "choose a port above 1023 or grant the right",
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new RdvError("usage", `${place} is not an address of this machine`, {
        cause: error,
        mend: "use an address of one of its interfaces, or leave the host out",
      })
    default:
      return new RdvError("usage", `Cannot listen on ${place}: ${error.message}`, { cause: error })
  }
}
