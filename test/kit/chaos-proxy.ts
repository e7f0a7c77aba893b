/**
 * A TCP proxy that does to connections what networks do: cut, silence, delay, slow down, change a byte. Unless told to,
 * it changes nothing: order, back-pressure and half-close pass through.
 */

import * as net from "node:net"

export interface ChaosOptions {
  readonly target: { readonly host?: string; readonly port: number }
  /** One way, each way. Default 0. */
  readonly delayMs?: number
  /** Each way of each connection. Default: no limit. */
  readonly bytesPerSecond?: number
}

export type Direction = "toTarget" | "toClient"

export interface ChaosProxy {
  /** On 127.0.0.1. */
  readonly port: number
  /** Live connections. */
  readonly connections: number
  readonly stats: {
    readonly accepted: number
    readonly refused: number
    readonly toTarget: number
    readonly toClient: number
  }
  delayMs: number
  bytesPerSecond: number
  /** Ends every connection on both of its sides, by a reset or in good order. Answers how many. */
  cutAll(how: "rst" | "fin"): number
  /** Live connections pass nothing, silently, until it is off again; with `holdNew` new ones too. */
  blackHole(on: boolean, options?: { holdNew?: boolean }): void
  /** Flips a bit of the byte that lies `afterBytes` behind what has passed; of the connection that gets there first. */
  corruptOnce(options: { direction: Direction; afterBytes: number }): void
  /** Resets new connections at once. */
  refuse(on: boolean): void
  close(): Promise<void>
}

export async function chaosProxy(options: ChaosOptions): Promise<ChaosProxy> {
  const proxy = new Proxy(options)
  await proxy.listen()
  return proxy
}

/** How much of one direction is held (delayed or silenced) before the sender is paused. */
const heldLimitBytes = 1_048_576

class Proxy implements ChaosProxy {
  delayMs: number
  bytesPerSecond: number
  readonly stats = { accepted: 0, refused: 0, toTarget: 0, toClient: 0 }
  readonly #target: { readonly host: string; readonly port: number }
  readonly #pairs = new Set<Pair>()
  readonly #server: net.Server
  readonly corruptions: Record<Direction, number[]> = { toTarget: [], toClient: [] }
  #refuses = false
  #holdsNew = false

  constructor(options: ChaosOptions) {
    this.#target = { host: options.target.host ?? "127.0.0.1", port: options.target.port }
    this.delayMs = options.delayMs ?? 0
    this.bytesPerSecond = options.bytesPerSecond ?? Infinity
    this.#server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => {
      if (this.#refuses) {
        this.stats.refused++
        client.resetAndDestroy()
        return
      }
      this.stats.accepted++
      const target = net.connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
      const pair: Pair = { client, target, lanes: [] }
      const lanes = [new Lane(this, "toTarget", client, target), new Lane(this, "toClient", target, client)]
      pair.lanes.push(...lanes)
      for (const lane of lanes) lane.setSilent(this.#holdsNew)
      this.#pairs.add(pair)
      for (const socket of [client, target]) {
        const other = socket === client ? target : client
        // A reset on one side is a reset on the other, unless silence swallows it.
        socket.on("error", () => {
          if (!lanes.some(({ silent }) => silent)) resetSocket(other)
        })
        socket.on("close", () => {
          if (client.destroyed && target.destroyed) this.#pairs.delete(pair)
        })
      }
    })
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  get connections(): number {
    return this.#pairs.size
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen(0, "127.0.0.1", resolve)
    })
  }

  cutAll(how: "rst" | "fin"): number {
    const count = this.#pairs.size
    for (const pair of this.#pairs) {
      for (const lane of pair.lanes) lane.drop()
      for (const socket of [pair.client, pair.target]) {
        if (how === "rst") resetSocket(socket)
        else {
          socket.end()
          // What still comes is read and dropped, so that the end does not turn into a reset.
          socket.removeAllListeners("data")
          socket.resume()
          socket.once("finish", () => socket.destroy())
        }
      }
    }
    return count
  }

  blackHole(on: boolean, options: { holdNew?: boolean } = {}): void {
    this.#holdsNew = on && options.holdNew === true
    for (const pair of this.#pairs) for (const lane of pair.lanes) lane.setSilent(on)
  }

  corruptOnce(options: { direction: Direction; afterBytes: number }): void {
    this.corruptions[options.direction].push(options.afterBytes)
  }

  refuse(on: boolean): void {
    this.#refuses = on
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const { client, target, lanes } of this.#pairs) {
      for (const lane of lanes) lane.drop()
      client.destroy()
      target.destroy()
    }
    await closed
  }
}

interface Pair {
  readonly client: net.Socket
  readonly target: net.Socket
  readonly lanes: Lane[]
}

/** One direction of one connection. */
class Lane {
  silent = false
  readonly #proxy: Proxy
  readonly #direction: Direction
  readonly #from: net.Socket
  readonly #to: net.Socket
  /** Undefined stands for the end. */
  #held: { readonly bytes: Buffer | undefined; readonly due: number }[] = []
  #heldBytes = 0
  /** When the slow wire has sent all that was given to it; performance.now(). */
  #wireFree = 0
  #timer: NodeJS.Timeout | undefined
  #dropped = false

  constructor(proxy: Proxy, direction: Direction, from: net.Socket, to: net.Socket) {
    this.#proxy = proxy
    this.#direction = direction
    this.#from = from
    this.#to = to
    from.on("data", (bytes) => this.#take(bytes))
    from.on("end", () => this.#take(undefined))
    to.on("drain", () => this.#move())
    from.resume()
  }

  setSilent(silent: boolean): void {
    this.silent = silent
    if (!silent) this.#move()
  }

  drop(): void {
    this.#dropped = true
    this.#held = []
    clearTimeout(this.#timer)
  }

  #take(bytes: Buffer | undefined): void {
    if (this.#dropped) return
    const now = performance.now()
    this.#wireFree = Math.max(this.#wireFree, now) + ((bytes?.length ?? 0) * 1000) / this.#proxy.bytesPerSecond
    this.#held.push({ bytes, due: this.#wireFree + this.#proxy.delayMs })
    this.#heldBytes += bytes?.length ?? 0
    this.#move()
  }

  #move(): void {
    clearTimeout(this.#timer)
    while (!this.silent && !this.#dropped && !this.#to.writableNeedDrain) {
      const first = this.#held[0]
      if (first === undefined) break
      const wait = first.due - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#move(), wait)
        break
      }
      this.#held.shift()
      if (first.bytes === undefined) {
        this.#to.end()
        continue
      }
      this.#heldBytes -= first.bytes.length
      this.#distort(first.bytes)
      this.#proxy.stats[this.#direction] += first.bytes.length
      this.#to.write(first.bytes)
    }
    const isFull = this.#heldBytes >= heldLimitBytes || (this.#to.writableNeedDrain && this.#heldBytes > 0)
    if (isFull) this.#from.pause()
    else if (this.#from.isPaused() && !this.#dropped) this.#from.resume()
  }

  #distort(bytes: Buffer): void {
    const waiting = this.#proxy.corruptions[this.#direction]
    for (let at = waiting.length - 1; at >= 0; at--) {
      const offset = waiting[at] as number
      if (offset >= bytes.length) {
        waiting[at] = offset - bytes.length
      } else {
        bytes[offset] = (bytes[offset] as number) ^ 0x10
        waiting.splice(at, 1)
      }
    }
  }
}

function resetSocket(socket: net.Socket): void {
  if (socket.destroyed) return
  if (socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}
