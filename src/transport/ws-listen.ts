/** Takes WebSockets on a port that the ingress reads: the way in for pages, and through proxies that know nothing else. */

import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"
import { WebSocketServer } from "ws"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import { peerOf } from "./tcp.ts"
import { closeTimeout, maxMessageBytes, sessionSubprotocol, webSocketLink } from "./ws-link.ts"

/** What was read of the request. */
export interface UpgradeRequest {
  readonly method: string
  /** The request target as it came. */
  readonly url: string
  /** Names and values as they came, alternating. */
  readonly headers: readonly string[]
}

/**
 * Shakes hands and takes the socket over; `head` is what was read behind the request. Nothing may be listening to the
 * socket any more. A request that is no WebSocket handshake for `rdv.1` is answered with 400, and `protocol` is thrown.
 */
export function acceptWebSocket(socket: Socket, request: UpgradeRequest, head: Uint8Array): Link {
  const peer = peerOf(socket)
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    ...closeTimeout,
    handleProtocols: () => sessionSubprotocol,
  })
  const headers = joinHeaders(request.headers)
  let refusal: Error | undefined
  server.on("wsClientError", (error) => (refusal = error))
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim())
  if (!offered.includes(sessionSubprotocol)) refusal = new Error(`the subprotocol ${sessionSubprotocol} is not offered`)
  let link: Link | undefined
  if (refusal === undefined) {
    // The package reads these three fields, and the handshake is answered within the call.
    const message = { method: request.method, url: request.url, headers } as unknown as IncomingMessage
    server.handleUpgrade(message, socket, Buffer.from(head.buffer, head.byteOffset, head.length), (ws) => {
      link = webSocketLink(ws, socket, { peer, protected: socket instanceof TLSSocket })
    })
  }
  if (link !== undefined) return link
  socket.on("error", () => undefined)
  socket.end(`HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  throw new RdvError(
    "protocol",
    `${peer} sent a WebSocket handshake that is refused: ${refusal?.message ?? "unknown"}`,
    {
      origin: "remote",
    },
  )
}

/** As Node's own parser would: lower-case names, repeated fields joined. */
function joinHeaders(list: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = (list[at] as string).toLowerCase()
    const value = list[at + 1] as string
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}
