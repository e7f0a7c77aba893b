/** A server of an application on this machine's own address: HTTP and WebSockets for browsers and programs here. */

import { createServer } from "node:http"
import type { IncomingMessage } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { RdvError } from "../../../base/error.ts"
import type { Visitor } from "../app/visitor.ts"
import { serveExchange } from "../serve/exchange.ts"
import type { TabServer } from "../serve/tab-server.ts"
import { HttpStream } from "./http-stream.ts"
import { localVisitor } from "./local-visitor.ts"
import { UpgradedStream } from "./upgraded-stream.ts"

export interface LocalServer {
  readonly port: number
  /** Takes no more connections, and lets go of those that nobody uses. */
  drain(): void
  /** Ends what is left. */
  close(): Promise<void>
}

/** On 127.0.0.1. Without a port the first free one from 8080 on. Rejects `in_use`. */
export async function startLocalServer(server: TabServer, port: number | undefined): Promise<LocalServer> {
  if (port !== undefined) return listen(server, port)
  for (let each = firstPort; each <= lastPort; each++) {
    try {
      return await listen(server, each)
    } catch (error) {
      if (!(error instanceof RdvError) || error.code !== "in_use") throw error
    }
  }
  return listen(server, 0)
}

async function listen(server: TabServer, port: number): Promise<LocalServer> {
  const upgraded = new Set<Socket>()
  const http = createServer({
    // An upload may take as long as it takes.
    requestTimeout: 0,
    shouldUpgradeCallback: ({ headers }) => /\bwebsocket\b/i.test(headers.upgrade ?? ""),
  })
  http.on("request", (request, response) => {
    serveExchange(new HttpStream(request, response), server, visitorOf(request))
  })
  http.on("upgrade", (request, duplex, early) => {
    const socket = duplex as Socket
    upgraded.add(socket)
    socket.on("close", () => upgraded.delete(socket))
    serveExchange(new UpgradedStream(request, socket, early), server, visitorOf(request))
  })
  http.listen(port, "127.0.0.1")
  await new Promise<void>((resolve, reject) => {
    http.once("listening", resolve)
    http.once("error", (error: NodeJS.ErrnoException) => reject(refusal(error, port)))
  })
  return {
    port: (http.address() as AddressInfo).port,
    drain() {
      http.close()
      http.closeIdleConnections()
    },
    async close() {
      const closed = http.listening ? new Promise<void>((resolve) => http.close(() => resolve())) : undefined
      http.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
      await closed
    },
  }
}

function visitorOf({ rawHeaders, socket }: IncomingMessage): Visitor {
  return localVisitor(rawHeaders, socket.remoteAddress ?? "")
}

function refusal(error: NodeJS.ErrnoException, port: number): RdvError {
  if (error.code === "EADDRINUSE") {
    return new RdvError("in_use", `Port ${port} of this machine is in use`, { mend: "choose another one with --port" })
  }
  const why = error.code === "EACCES" ? "may not be used by this user" : `cannot be used (${error.code ?? "?"})`
  return new RdvError("usage", `Port ${port} of this machine ${why}`, { mend: "choose another one with --port" })
}

const firstPort = 8080
const lastPort = 8099
