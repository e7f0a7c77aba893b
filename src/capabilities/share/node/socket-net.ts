/** Connections between members over TCP: one listener for all swarms of a process, and dials that try all addresses. */

import * as net from "node:net"
import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { adopted, SocketPipe } from "../../../sockets/socket-pipe.ts"
import { SocketReader, tryAdoption } from "../../../sockets/socket-reader.ts"
import type { DirectNet } from "../paths/direct-net.ts"
import type { Pipe } from "../../../base/pipe.ts"
import { directTarget, hostPort, lowestPort, mostAddresses, ownAddresses } from "./direct-addresses.ts"
import type { Target } from "./direct-addresses.ts"

export interface SocketNetOptions {
  /** Default: any free one. */
  readonly port?: number
  /** An address of this machine. Default: all interfaces. */
  readonly host?: string
  /** False: others are dialled, nobody dials us. Default true. */
  readonly listen?: boolean
  /** Also within this machine, for tests and benchmarks. Default false. */
  readonly loopback?: boolean
  /** Connections of others at once. Default 512. */
  readonly mostIncoming?: number
  /** For a dial as a whole, ms. Default 5000. */
  readonly dialMs?: number
  readonly clock?: Clock
}

const defaultMostIncoming = 512
const defaultDialMs = 5_000
/** The next address is tried after so long without an answer (RFC 8305 section 5), ms. */
const staggerMs = 150

/** Rejects `in_use` and `usage` when it cannot listen. */
export async function openSocketNet(options: SocketNetOptions = {}): Promise<DirectNet> {
  const net = new SocketNet(options)
  if (options.listen !== false) await net.open()
  return net
}

class SocketNet implements DirectNet {
  onPipe: ((pipe: Pipe) => void) | undefined
  readonly #options: SocketNetOptions
  readonly #clock: Clock
  readonly #loopback: boolean
  #server: net.Server | undefined
  /** Ends dials that are under way. */
  readonly #life: AbortController = new AbortController()

  constructor(options: SocketNetOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#loopback = options.loopback ?? false
  }

  /** Read anew each time: networks come and go. */
  get addresses(): readonly string[] {
    const address = this.#server?.address()
    if (address === null || address === undefined || typeof address === "string") return []
    const { port } = address
    const { host } = this.#options
    return host === undefined ? ownAddresses(port, this.#loopback) : [hostPort(host, port)]
  }

  async open(): Promise<void> {
    const { port = 0, host, mostIncoming = defaultMostIncoming } = this.#options
    if (port !== 0 && port < lowestPort) {
      throw new RdvError("usage", `Members cannot be reached at port ${port}`, { mend: "choose one above 1023" })
    }
    await tryAdoption()
    const server = net.createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    })
    server.maxConnections = mostIncoming
    server.on("connection", (socket) => {
      const peer = hostPort(socket.remoteAddress ?? "unknown", socket.remotePort ?? 0)
      const { socket: own, ...reader } = adopted(socket)
      const pipe = new SocketPipe(own, { kind: "tcp", peer, clock: this.#clock, ...reader })
      if (this.onPipe === undefined) pipe.abort(new RdvError("no_service", "No swarm is open here"))
      else this.onPipe(pipe)
    })
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(hostPort(host ?? "", port), error)))
      server.listen({ port, ...(host !== undefined && { host }), backlog: 256 }, resolve)
    })
    server.removeAllListeners("error")
    // After the bind, errors are of single accepts (out of descriptors): the listener goes on.
    server.on("error", () => undefined)
    // Who shares or gets has a session that keeps the process.
    server.unref()
    this.#server = server
  }

  async dial(addresses: readonly string[], signal: AbortSignal): Promise<Pipe> {
    const targets: Target[] = []
    // Machines with the same bridges to their guests tell the same addresses: here they lead to ourselves.
    const own = this.#loopback ? [] : this.addresses
    for (const text of addresses.slice(0, mostAddresses)) {
      const target = own.includes(text) ? undefined : directTarget(text, this.#loopback)
      if (target !== undefined) targets.push(target)
    }
    if (targets.length === 0) throw new RdvError("unreachable", "The member told no address that can be dialled")
    const both = AbortSignal.any([signal, this.#life.signal])
    both.throwIfAborted()
    return firstOf(targets, both, this.#options.dialMs ?? defaultDialMs, this.#clock)
  }

  async close(): Promise<void> {
    this.onPipe = undefined
    this.#life.abort(new RdvError("closed"))
    // Those that were taken belong to whoever took them.
    this.#server?.close()
    this.#server = undefined
  }
}

const keepAliveMs = 30_000

/** The first that answers; the others are cut. */
function firstOf(targets: readonly Target[], signal: AbortSignal, dialMs: number, clock: Clock): Promise<Pipe> {
  return new Promise((resolve, reject) => {
    const running = new Set<net.Socket>()
    let next = 0
    let lastError: RdvError | undefined
    const settle = () => {
      deadline.cancel()
      stagger.cancel()
      signal.removeEventListener("abort", onAbort)
      for (const socket of running) socket.destroy()
      running.clear()
    }
    const fail = (error: unknown) => {
      settle()
      reject(error as Error)
    }
    const onAbort = () => fail(signal.reason)
    const places = () => targets.map(({ host, port }) => hostPort(host, port)).join(", ")
    const deadline = clock.after(dialMs, () => fail(new RdvError("timeout", `Nobody answered at ${places()}`)))
    const begin = () => {
      const target = targets[next++]
      if (target === undefined) return
      const peer = hostPort(target.host, target.port)
      const reader = new SocketReader()
      const socket = net.connect({
        ...target,
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveMs,
        onread: reader.onread,
      })
      socket.pause()
      running.add(socket)
      const onError = (error: NodeJS.ErrnoException) => {
        if (!running.delete(socket)) return
        lastError = new RdvError("unreachable", `Cannot reach ${peer}: ${error.code ?? error.message}`, {
          cause: error,
        })
        stagger.cancel()
        if (next < targets.length) begin()
        else if (running.size === 0) fail(lastError)
      }
      socket.on("error", onError)
      socket.once("connect", () => {
        if (!running.delete(socket)) return
        settle()
        socket.off("error", onError)
        resolve(new SocketPipe(socket, { kind: "tcp", peer, reader, clock }))
      })
      stagger = clock.after(staggerMs, begin)
    }
    let stagger = { cancel: (): void => undefined }
    signal.addEventListener("abort", onAbort, { once: true })
    begin()
  })
}

function cannotListen(place: string, error: NodeJS.ErrnoException): RdvError {
  if (error.code === "EADDRINUSE") {
    return new RdvError("in_use", `${place} is in use by another process`, {
      cause: error,
      mend: "choose another port",
    })
  }
  return new RdvError("usage", `Cannot listen for members at ${place}: ${error.code ?? error.message}`, {
    cause: error,
    mend: "give an address and a port that this machine has free",
  })
}
