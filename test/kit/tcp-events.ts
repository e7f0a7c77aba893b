/**
 * Eleven things that happen to TCP connections, played by real sockets around a proxy: half-close, resets, readers that
 * stand still, targets that refuse. What is told is what the two ends saw; the benchmark asks the same of other proxies.
 */

import { once } from "node:events"
import * as net from "node:net"
import { isSent } from "../../src/sockets/send-queue.ts"

/** What stands between client and target. */
export interface Stage {
  /** On loopback, leads to the target. */
  readonly port: number
  /** On loopback, leads to where nothing listens. */
  readonly deadPort: number
  readonly target: EventTarget
  /** That the proxy has in use, bytes; without what it is about to throw away, where that can be told. */
  readonly memory: () => Promise<number>
}

export interface Outcome {
  readonly text: string
  /** Nothing lost, nothing pretended, nothing waited for. */
  readonly isGood: boolean
}

export interface TcpEvent {
  readonly name: string
  play(stage: Stage): Promise<Outcome>
}

/** No proxy takes longer for what it still does, ms. */
const patienceMs = 5_000
const answerBytes = 500_000
const restBytes = 2_000
const resetBytes = 200_000
const stuckCount = 8

/** The side behind the proxy: takes connections and does nothing by itself. */
export class EventTarget {
  readonly port: number
  readonly #server: net.Server
  readonly #waiting: net.Socket[] = []
  #wake: () => void = () => undefined

  private constructor(server: net.Server) {
    this.#server = server
    this.port = (server.address() as net.AddressInfo).port
    server.on("connection", (socket) => {
      // Whoever resets it is heard by its end, or by nobody.
      socket.on("error", () => undefined)
      this.#waiting.push(socket)
      this.#wake()
    })
  }

  static async start(): Promise<EventTarget> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return new EventTarget(server)
  }

  /** The next connection; undefined when none comes. */
  async next(): Promise<End | undefined> {
    const deadline = performance.now() + patienceMs
    while (this.#waiting.length === 0) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) return undefined
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return new End(this.#waiting.shift() as net.Socket)
  }

  /** Lets go of what came when somebody looked whether the proxy listens: all that came before a word of ours. */
  async settle(port: number): Promise<void> {
    const client = await connect(port)
    client.socket.write("here")
    for (;;) {
      const end = await this.next()
      if (end === undefined) throw new Error(`nothing leads from ${port} to the target`)
      end.read()
      const isOurs = await end.until(() => end.received > 0 || end.saw !== "nothing")
      end.socket.destroy()
      if (isOurs && end.received > 0) break
    }
    client.socket.destroy()
  }

  async stop(): Promise<void> {
    for (const socket of this.#waiting) socket.destroy()
    this.#server.close()
    await once(this.#server, "close")
  }
}

/** One end of a connection, and what it saw. */
class End {
  readonly socket: net.Socket
  received = 0
  /** `FIN`, `RST`, or what else the system said. */
  saw = "nothing"
  #changed: () => void = () => undefined

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on("end", () => this.#saw("FIN"))
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#saw(error.code === "ECONNRESET" || error.code === "EPIPE" ? "RST" : (error.code ?? error.message))
    })
  }

  read(): void {
    this.socket.on("data", (bytes: Buffer) => {
      this.received += bytes.length
      this.#changed()
    })
    this.socket.resume()
  }

  /** False: it did not come true. */
  async until(check: () => boolean): Promise<boolean> {
    const deadline = performance.now() + patienceMs
    while (!check()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#changed = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return true
  }

  /** One message to the other end, which then reads for good. */
  async greet(other: End): Promise<boolean> {
    other.read()
    this.socket.write("hello")
    return other.until(() => other.received === 5)
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  #saw(what: string): void {
    // A FIN stays what it was, whatever the system says of a connection that is over.
    if (this.saw === "nothing") this.saw = what
    this.#changed()
  }
}

export const tcpEvents: readonly TcpEvent[] = [
  event("the client ends, the target answers a second later", async ({ client, target }) => {
    target.read()
    client.read()
    client.socket.end("request")
    await target.until(() => target.saw !== "nothing")
    await passing(1_000)
    target.socket.end(Buffer.alloc(answerBytes))
    await client.until(() => client.received === answerBytes || client.saw === "RST")
    return delivered(client, answerBytes)
  }),
  event("the target ends, the client goes on", async ({ client, target }) => {
    target.read()
    client.read()
    target.socket.end("bye")
    await client.until(() => client.saw !== "nothing")
    await passing(200)
    client.socket.end(Buffer.alloc(restBytes))
    await target.until(() => target.received === restBytes || target.saw === "RST")
    return delivered(target, restBytes)
  }),
  event("the client resets", async ({ client, target }) => {
    await client.greet(target)
    client.reset()
    await target.until(() => target.saw !== "nothing")
    return { text: `the target sees ${target.saw}`, isGood: target.saw === "RST" }
  }),
  event("the target resets", async ({ client, target }) => {
    await target.greet(client)
    target.reset()
    await client.until(() => client.saw !== "nothing")
    return { text: `the client sees ${client.saw}`, isGood: client.saw === "RST" }
  }),
  event("the target sends 200 kB and resets, the client reads late", ({ client, target }) => lastBytes(target, client)),
  event("the client sends 200 kB and resets, the target reads late", ({ client, target }) => lastBytes(client, target)),
  event("the target reads nothing: what the client gets rid of", async ({ client, target }) => {
    const accepted = await fill(client.socket)
    target.read()
    const isWhole = await target.until(() => target.received >= accepted)
    const megabytes = accepted / 1e6
    const text = `${megabytes.toFixed(1)} MB${isWhole ? "" : `, ${accepted - target.received} bytes lost`}`
    return { text, isGood: isWhole && megabytes < 16 }
  }),
  {
    name: "the target reads nothing: what the proxy holds",
    async play({ port, memory, target }) {
      // What a process takes once, to work at all, is not what a connection costs: the second time counts.
      await stuckClients(port, target, async () => 0)
      const before = await memory()
      const after = await stuckClients(port, target, memory)
      const megabytes = Math.max(0, after - before) / 1e6 / stuckCount
      return { text: `${megabytes.toFixed(1)} MB each`, isGood: megabytes < 1 }
    },
  },
  {
    name: "the target refuses",
    async play({ deadPort }) {
      const from = performance.now()
      // The reset may be here before we hear that we are connected.
      const client = new End(begin(deadPort))
      client.read()
      await client.until(() => client.saw !== "nothing")
      const ms = performance.now() - from
      client.socket.destroy()
      const text = `${client.saw} ${ms < atOnceMs ? "at once" : `after ${(ms / 1000).toFixed(1)} s`}`
      return { text, isGood: client.saw === "RST" && ms < atOnceMs }
    },
  },
  event("the target speaks first", async ({ client, target }) => {
    await target.greet(client)
    return delivered(client, 5)
  }),
  {
    name: "request and end before the target is there",
    async play({ port, target: behind }) {
      const client = await connect(port)
      client.read()
      client.socket.end(Buffer.alloc(restBytes))
      const target = await behind.next()
      if (target === undefined) return { text: "no connection", isGood: false }
      target.read()
      await target.until(() => target.received === restBytes || target.saw === "RST")
      await target.until(() => target.saw !== "nothing")
      target.socket.end(Buffer.alloc(answerBytes))
      await client.until(() => client.received === answerBytes || client.saw === "RST")
      client.socket.destroy()
      target.socket.destroy()
      return delivered(client, answerBytes)
    },
  },
]

const atOnceMs = 500

interface Ends {
  readonly client: End
  readonly target: End
}

/** On a connection that has reached the target. */
function event(name: string, play: (ends: Ends) => Promise<Outcome>): TcpEvent {
  return {
    name,
    async play(stage) {
      const client = await connect(stage.port)
      const target = await stage.target.next()
      try {
        if (target === undefined) return { text: "no connection", isGood: false }
        return await play({ client, target })
      } finally {
        client.socket.destroy()
        target?.socket.destroy()
      }
    },
  }
}

/** Sends, waits until the proxy's kernel has all of it, resets; the other end begins to read when that is over. */
async function lastBytes(sender: End, reader: End): Promise<Outcome> {
  sender.socket.write(Buffer.alloc(resetBytes))
  const deadline = performance.now() + patienceMs
  while (!(await sent(sender.socket)) && performance.now() < deadline) await passing(5)
  sender.reset()
  await passing(300)
  reader.read()
  await reader.until(() => reader.saw !== "nothing")
  const kilobytes = Math.floor(reader.received / 1000)
  const text = `${reader.received === resetBytes ? "all" : `${kilobytes} kB`}, then ${reader.saw}`
  return { text, isGood: reader.received === resetBytes && reader.saw === "RST" }
}

function sent(socket: net.Socket): Promise<boolean> {
  return new Promise((resolve) => isSent(socket, resolve))
}

function delivered(end: End, bytes: number): Outcome {
  const lost = bytes - end.received
  return { text: lost === 0 ? "delivered" : `${lost === bytes ? "all" : `${lost} bytes`} lost`, isGood: lost === 0 }
}

/** Clients that wrote until nothing was taken any more, while `look` looks. */
async function stuckClients(port: number, target: EventTarget, look: () => Promise<number>): Promise<number> {
  const clients = await Promise.all(Array.from({ length: stuckCount }, () => connect(port)))
  await Promise.all(clients.map(({ socket }) => fill(socket)))
  const seen = await look()
  for (const { socket } of clients) {
    socket.destroy()
    const end = await target.next()
    end?.socket.destroy()
  }
  return seen
}

/** Writes until nothing is taken for half a second; says how much was. */
async function fill(socket: net.Socket): Promise<number> {
  const piece = Buffer.alloc(65_536)
  for (let taken = -1; socket.bytesWritten < mostBytes;) {
    while (socket.writableLength < piece.length) socket.write(piece)
    await Promise.race([once(socket, "drain"), passing(500)])
    if (socket.bytesWritten - socket.writableLength === taken) break
    taken = socket.bytesWritten - socket.writableLength
  }
  return socket.bytesWritten - socket.writableLength
}

const mostBytes = 100e6

async function connect(port: number): Promise<End> {
  const socket = begin(port)
  await once(socket, "connect")
  return new End(socket)
}

function begin(port: number): net.Socket {
  return net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
}

/** Time that is part of the event, not a wait for something to become true. */
function passing(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
