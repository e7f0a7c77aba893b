/**
 * A local service with everything that a broken network could hurt: large bodies both ways with their digests, requests
 * that take their time, server-sent events that count, a WebSocket that echoes.
 */

import { createHash } from "node:crypto"
import { once } from "node:events"
import * as http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { WebSocketServer } from "ws"

export interface ChaosOrigin {
  readonly port: number
  /** SHA-256 of what `/download?bytes=N` sends. */
  readonly digests: Map<number, string>
  /** Requests that were begun, by path without the query. */
  readonly counts: Map<string, number>
  /** Responses that have not been finished or cut. */
  readonly running: number
  close(): Promise<void>
}

/** Endless-looking bytes in which no two 64 KiB pieces are alike, so that a lost or doubled piece changes the digest. */
export function* patternBytes(length: number): Generator<Buffer> {
  const pieceBytes = 65_536
  for (let at = 0; at < length; at += pieceBytes) {
    const piece = Buffer.alloc(Math.min(pieceBytes, length - at), (at / pieceBytes) % 251)
    if (piece.length >= 8) piece.writeBigUInt64BE(BigInt(at), piece.length - 8)
    yield piece
  }
}

const zeros = Buffer.alloc(262_144)

/**
 * - `GET /download?bytes=N`: N bytes, with Content-Length
 * - `GET /flood?bytes=N`: N zeros, as fast as they are taken and at little cost here
 * - `POST /upload`: answers with the SHA-256 of the body
 * - `POST /slow-upload?rate=N`: reads N bytes per second
 * - `POST /echo?ms=N`: the body, after N ms
 * - `GET /events?every=N`: one counting event each N ms
 * - `/socket`: a WebSocket that echoes
 * - anything else: `.`
 */
export async function chaosOrigin(): Promise<ChaosOrigin> {
  const digests = new Map<number, string>()
  const counts = new Map<string, number>()
  const sockets = new Set<Socket>()
  let running = 0
  const server = http.createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    const url = new URL(request.url as string, "http://origin")
    counts.set(url.pathname, (counts.get(url.pathname) ?? 0) + 1)
    running++
    response.once("close", () => running--)
    const number = (name: string) => Number(url.searchParams.get(name))
    serve(url.pathname, number, request, response).catch(() => response.destroy())
  })
  async function serve(
    path: string,
    number: (name: string) => number,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    switch (path) {
      case "/download": {
        const length = number("bytes")
        response.setHeader("Content-Length", length)
        const hash = createHash("sha256")
        const hashed = function* () {
          for (const piece of patternBytes(length)) {
            hash.update(piece)
            yield piece
          }
        }
        await pipeline(Readable.from(hashed()), response)
        digests.set(length, hash.digest("hex"))
        return
      }
      case "/flood": {
        let left = number("bytes")
        response.setHeader("Content-Length", left)
        const flow = () => {
          while (left > 0 && !response.destroyed) {
            const piece = left >= zeros.length ? zeros : zeros.subarray(0, left)
            left -= piece.length
            if (!response.write(piece)) return
          }
          response.end()
        }
        response.on("drain", flow)
        flow()
        return
      }
      case "/upload": {
        const hash = createHash("sha256")
        for await (const bytes of request) hash.update(bytes as Buffer)
        response.end(hash.digest("hex"))
        return
      }
      case "/slow-upload": {
        const tick = setInterval(() => request.read(Math.min(request.readableLength, number("rate") / 10)), 100)
        response.once("close", () => clearInterval(tick))
        return
      }
      case "/echo": {
        const parts: Buffer[] = []
        for await (const bytes of request) parts.push(bytes as Buffer)
        const timer = setTimeout(() => response.end(Buffer.concat(parts)), number("ms"))
        response.once("close", () => clearTimeout(timer))
        return
      }
      case "/events": {
        response.writeHead(200, { "Content-Type": "text/event-stream" })
        let count = 0
        const tick = setInterval(() => response.write(`id: ${count}\ndata: event ${count++}\n\n`), number("every"))
        response.once("close", () => clearInterval(tick))
        return
      }
      default:
        request.resume()
        response.end(".")
    }
  }
  const webSockets = new WebSocketServer({ server, path: "/socket" })
  webSockets.on("connection", (socket) => {
    socket.on("message", (data, binary) => socket.send(data as Buffer, { binary }))
    socket.on("error", () => undefined)
  })
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.once("close", () => sockets.delete(socket))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as AddressInfo).port,
    digests,
    counts,
    get running() {
      return running
    },
    async close() {
      webSockets.close()
      for (const socket of sockets) socket.destroy()
      server.close()
      if (server.listening) await once(server, "close")
    },
  }
}
