/**
 * Dials a WebSocket from Node. Unlike the global `WebSocket` (`ws.ts`) it goes through proxies, takes an authority or a
 * pin, and feels a pause.
 */

import type { Socket } from "node:net"
import { WebSocket } from "ws"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { printAddress, printHostPort } from "./address.ts"
import { connectSocket } from "./proxy.ts"
import { connectTls } from "./tls.ts"
import type { TlsDialLimits } from "./tls.ts"
import { closeTimeout, maxMessageBytes, sessionSubprotocol, webSocketLink } from "./ws-link.ts"

/** Takes `ws` and `wss` addresses. */
export async function dialWebSocketFromNode(address: Address, limits: TlsDialLimits): Promise<Link> {
  if (address.scheme !== "ws" && address.scheme !== "wss") {
    throw new RdvError("usage", `${printAddress(address)} is not a ws address`)
  }
  const started = performance.now()
  const place = printAddress(address)
  const secure = address.scheme === "wss"
  const socket = secure ? await connectTls(address, "http/1.1", limits) : await openPlain(address, limits)
  const host = printHostPort(address.host === "" ? "localhost" : address.host, address.port)
  // The connection is made and secured already, so the package only speaks HTTP over it.
  const ws = new WebSocket(`ws://${host}${address.path}`, sessionSubprotocol, {
    createConnection: () => socket,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    ...closeTimeout,
  })
  socket.resume()
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      clearTimeout(timer)
      limits.signal?.removeEventListener("abort", onAbort)
      ws.removeAllListeners()
      if (error === undefined) return
      ws.on("error", () => undefined)
      socket.destroy()
      reject(error)
    }
    const onAbort = () => settle((limits.signal?.reason as Error | undefined) ?? new RdvError("closed"))
    const timer = setTimeout(
      () => settle(new RdvError("timeout", `${place} did not answer in time`)),
      Math.max(1, limits.timeoutMs - (performance.now() - started)),
    )
    ws.once("unexpected-response", (_request, response) => {
      const status = `${response.statusCode} ${response.statusMessage}`.trim()
      settle(
        new RdvError("unreachable", `${place} answered "${status}" to the WebSocket handshake`, { origin: "remote" }),
      )
    })
    ws.once("error", (error) => {
      settle(new RdvError("unreachable", `${place} did not accept the WebSocket: ${error.message}`, { cause: error }))
    })
    ws.once("open", () => {
      settle()
      const { closeMs } = limits
      resolve(webSocketLink(ws, socket, { peer: place, protected: secure, ...(closeMs !== undefined && { closeMs }) }))
    })
    limits.signal?.addEventListener("abort", onAbort, { once: true })
    if (limits.signal?.aborted) onAbort()
  })
}

async function openPlain(address: { host: string; port: number }, limits: TlsDialLimits): Promise<Socket> {
  const { socket, head } = await connectSocket(address, limits)
  if (head.length === 0) return socket
  socket.destroy()
  throw new RdvError("protocol", `${printHostPort(address.host, address.port)} sent bytes before the handshake`)
}
