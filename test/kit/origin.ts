/**
 * Local services for tests: one that speaks proper HTTP through `node:http` and does on demand what services do, and one
 * on bare sockets that records every byte it gets and answers whatever it is told.
 */

import { createHash } from "node:crypto"
import * as http from "node:http"
import * as net from "node:net"

export interface Origin extends AsyncDisposable {
  readonly port: number
  /** For a tunnel. */
  readonly target: string
  /** Connections so far. */
  readonly accepted: number
}

export interface RawOrigin extends Origin {
  /** Everything that came, over all connections. */
  readonly received: string
  readonly connections: readonly RawConnection[]
}

export interface RawConnection {
  readonly socket: net.Socket
  /** What came on it, as latin1. */
  received: string
  /** "end" for a FIN, "reset" for a reset, undefined while it lives. */
  ending: "end" | "reset" | undefined
}

/** A service on bare sockets; `onData` is called with each piece. */
export async function rawOrigin(
  onData: (connection: RawConnection, bytes: Buffer) => unknown = () => undefined,
  onConnection: (connection: RawConnection) => unknown = () => undefined,
): Promise<RawOrigin> {
  const connections: RawConnection[] = []
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection: RawConnection = { socket, received: "", ending: undefined }
    connections.push(connection)
    socket.on("data", (bytes) => {
      connection.received += bytes.toString("latin1")
      onData(connection, bytes)
    })
    socket.on("end", () => (connection.ending ??= "end"))
    socket.on("error", () => (connection.ending ??= "reset"))
    socket.on("close", () => (connection.ending ??= "reset"))
    onConnection(connection)
  })
  const port = await listen(server)
  return {
    port,
    target: `127.0.0.1:${port}`,
    connections,
    get accepted() {
      return connections.length
    },
    get received() {
      return connections.map(({ received }) => received).join("")
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of connections) socket.destroy()
      await close(server)
    },
  }
}

/** Answers each complete head with these bytes; for requests without a body. */
export function answerEach(answer: string | Uint8Array): (connection: RawConnection) => void {
  const seen = new WeakMap<RawConnection, number>()
  return (connection) => {
    const heads = connection.received.split("\r\n\r\n").length - 1
    for (let count = seen.get(connection) ?? 0; count < heads; count++) {
      connection.socket.write(typeof answer === "string" ? Buffer.from(answer, "latin1") : answer)
    }
    seen.set(connection, heads)
  }
}

export interface HttpOrigin extends Origin {
  readonly server: http.Server
  /** `METHOD /target` of each request. */
  readonly requests: readonly string[]
}

export type OriginHandler = (request: http.IncomingMessage, response: http.ServerResponse) => unknown

/** A service through `node:http`. */
export async function httpOrigin(
  handler: OriginHandler = torture,
  options: http.ServerOptions = {},
): Promise<HttpOrigin> {
  const requests: string[] = []
  let accepted = 0
  const server = http.createServer({ keepAliveTimeout: 30_000, ...options }, (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    // A handler fails when its visitor leaves within the body.
    const run = async () => handler(request, response)
    run().catch(() => response.destroy())
  })
  server.on("connection", () => accepted++)
  const port = await listen(server)
  return {
    port,
    target: `127.0.0.1:${port}`,
    server,
    requests,
    get accepted() {
      return accepted
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await close(server)
    },
  }
}

/** What came, as the answer of `/echo` tells it. */
export interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: readonly string[]
  readonly bytes: number
  readonly sha256: string
  readonly trailers: readonly string[]
}

/**
 * `/echo` tells what came; `/mirror` sends the body back as it comes; `/bytes?n=…&chunked&piece=…` sends `pattern`
 * bytes; `/status?code=…` answers with that status.
 */
export const torture: OriginHandler = async (request, response) => {
  const url = new URL(request.url ?? "/", "http://origin")
  switch (url.pathname) {
    case "/echo": {
      const hash = createHash("sha256")
      let bytes = 0
      for await (const chunk of request as AsyncIterable<Buffer>) {
        hash.update(chunk)
        bytes += chunk.length
      }
      const { method = "", rawHeaders, rawTrailers } = request
      const echo: Echo = {
        method,
        url: request.url ?? "",
        headers: rawHeaders,
        bytes,
        sha256: hash.digest("hex"),
        trailers: rawTrailers,
      }
      response.setHeader("Content-Type", "application/json")
      response.end(JSON.stringify(echo))
      return
    }
    case "/mirror":
      if (request.headers["content-length"] !== undefined) {
        response.setHeader("Content-Length", request.headers["content-length"])
      }
      request.pipe(response)
      return
    case "/bytes": {
      const count = Number(url.searchParams.get("n"))
      const piece = Number(url.searchParams.get("piece") ?? 65_536)
      if (!url.searchParams.has("chunked")) response.setHeader("Content-Length", count)
      else response.flushHeaders()
      for (let sent = 0; sent < count && !response.destroyed; sent += piece) {
        const chunk = pattern(sent, Math.min(piece, count - sent))
        if (!response.write(chunk)) await drained(response)
      }
      response.end()
      return
    }
    case "/status":
      request.resume()
      response.writeHead(Number(url.searchParams.get("code")))
      response.end()
      return
    default:
      request.resume()
      response.end("hello\n")
  }
}

const period = makePeriod()

/** Bytes that tell their place: part of one endless sequence that repeats after a prime number of bytes. */
export function pattern(from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length;) {
    const start = (from + at) % period.length
    at += period.copy(bytes, at, start, start + length - at)
  }
  return bytes
}

/** SHA-256 of the first bytes of the pattern. */
export function patternHash(length: number): string {
  const hash = createHash("sha256")
  for (let at = 0; at < length; at += 1_048_576) hash.update(pattern(at, Math.min(1_048_576, length - at)))
  return hash.digest("hex")
}

function makePeriod(): Buffer {
  const bytes = Buffer.alloc(65_521)
  let state = 1
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[at] = state >>> 16
  }
  return bytes
}

/** Resolves when the answer takes more, or nobody wants it any more. */
export function drained(response: http.ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done)
      resolve()
    }
    response.on("drain", done).on("close", done)
  })
}

function listen(server: net.Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as net.AddressInfo).port))
  })
}

function close(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
