/** A socket to a local service, with a reader of its own. */

import * as net from "node:net"
import * as tls from "node:tls"
import { RdvError } from "../../base/error.ts"
import { SocketReader } from "../../sockets/socket-reader.ts"
import type { Endpoint } from "./target.ts"
import { endpointText } from "./target.ts"

export interface LocalSocket {
  readonly socket: net.Socket
  readonly reader: SocketReader
}

export interface ConnectOptions {
  /** A certificate that nobody vouches for is accepted. */
  readonly insecure?: boolean
}

/** A local service answers at once or not at all; one behind a slow network gets this, ms. */
const connectMs = 10_000

/**
 * Starts to connect. Exactly one of the callbacks is called; after `connected` the socket is the caller's, paused, with
 * `allowHalfOpen`. Returns a function that gives up.
 */
export function connectLocal(
  endpoint: Endpoint,
  options: ConnectOptions,
  connected: (local: LocalSocket) => void,
  failed: (error: RdvError) => void,
): () => void {
  const reader = new SocketReader()
  // What reads from a local service hands it to a stream, which copies.
  reader.borrows = true
  const socket = openSocket(endpoint, options, reader)
  const timer = setTimeout(() => fail(new RdvError("timeout", `${endpointText(endpoint)} does not answer`)), connectMs)
  let settled = false
  const fail = (error: RdvError) => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    socket.destroy()
    failed(error)
  }
  const onError = (error: NodeJS.ErrnoException) => fail(cannotConnect(endpoint, error))
  socket.once("error", onError)
  socket.once(endpoint.kind === "tcp" && endpoint.tls ? "secureConnect" : "connect", () => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    socket.off("error", onError)
    connected({ socket, reader })
  })
  return () => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    socket.off("error", onError)
    socket.on("error", () => undefined)
    socket.destroy()
  }
}

function openSocket(endpoint: Endpoint, options: ConnectOptions, reader: SocketReader): net.Socket {
  if (endpoint.kind === "unix") return net.connect({ path: endpoint.path, allowHalfOpen: true, onread: reader.onread })
  const { host, port } = endpoint
  if (!endpoint.tls) return net.connect({ host, port, allowHalfOpen: true, noDelay: true, onread: reader.onread })
  const secured = {
    host,
    port,
    // Node has it (documentation of `tls.connect`); its types do not.
    allowHalfOpen: true,
    rejectUnauthorized: options.insecure !== true,
    ALPNProtocols: ["http/1.1"],
    ...(net.isIP(host) === 0 && { servername: host }),
  }
  const socket = tls.connect(secured)
  socket.setNoDelay(true)
  socket.on("data", (bytes) => void reader.receive(bytes))
  return socket
}

function cannotConnect(endpoint: Endpoint, error: NodeJS.ErrnoException): RdvError {
  const place = endpointText(endpoint)
  const cause = { cause: error }
  // Happy eyeballs wraps one error per address.
  const code = error.code ?? (error as unknown as AggregateError).errors?.[0]?.code
  switch (code) {
    case "ECONNREFUSED":
    case "ENOENT":
      return new RdvError("unreachable", `nothing listens on ${place}`, cause)
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new RdvError("unreachable", `the name in ${place} does not resolve`, cause)
    case "EACCES":
      return new RdvError("unreachable", `this user may not connect to ${place}`, cause)
    default:
      return new RdvError("unreachable", `${place} cannot be reached: ${code ?? error.message}`, cause)
  }
}
