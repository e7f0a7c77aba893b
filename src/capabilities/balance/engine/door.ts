/**
 * One port that we listen on, and whose connections it takes. A port that cannot be had is asked for again and again, with
 * growing pauses; the other ports do not notice.
 */

import { createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { Backoff } from "../../../base/backoff.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import { hostPortText } from "../../../config/host-port.ts"
import type { ListenerSettings } from "../config/settings.ts"
import type { ListenerSnapshot } from "../observe/snapshot.ts"

export interface DoorOptions {
  readonly host: string | undefined
  readonly port: number
  readonly clock: Clock
  readonly log: Log
  readonly noDelay: boolean
  /** Event loops share the port. */
  readonly shared: boolean
  /** It listens now. */
  readonly onOpen?: () => void
  /** Paused. */
  readonly onSocket: (socket: Socket) => void
}

/** Between two lines on connections that could not be taken, ms. */
const quietMs = 1_000
const retryMs = { firstMs: 100, maxMs: 10_000 }

export class Door {
  readonly address: string
  readonly #options: DoorOptions
  readonly #backoff = new Backoff(retryMs)
  #server: Server | undefined
  #state: ListenerSnapshot["state"] = "closed"
  #error: string | undefined
  #retry: Timer | undefined
  #isClosed = false
  /** Until then nothing more is told of connections that could not be taken. */
  #quietUntil = 0
  #backlog = 511
  readonly #up: PromiseWithResolvers<boolean> = Promise.withResolvers()

  constructor(options: DoorOptions) {
    this.#options = options
    this.address = doorAddress(options)
  }

  get state(): ListenerSnapshot {
    return { address: this.address, state: this.#state, error: this.#error }
  }

  /** Whether the first attempt to listen went well. */
  get up(): Promise<boolean> {
    return this.#up.promise
  }

  /** Begins to listen, unless it does or tries to, or is closed. */
  open({ backlog }: Pick<ListenerSettings, "backlog">): void {
    if (this.#isClosed || this.#server !== undefined || this.#state === "retrying") return
    this.#backlog = backlog
    this.#listen()
  }

  /** Listens no more until `open`: clients are refused by the kernel. */
  refuse(): void {
    if (this.#isClosed || (this.#state === "refusing" && this.#server === undefined)) return
    this.#shut()
    this.#state = "refusing"
    this.#up.resolve(true)
  }

  /** For good. Connections that it has brought stay. */
  close(): void {
    this.#isClosed = true
    this.#shut()
    this.#state = "closed"
    this.#up.resolve(false)
  }

  #shut(): void {
    this.#retry?.cancel()
    this.#server?.close()
    this.#server = undefined
    this.#error = undefined
  }

  #listen(): void {
    const { host, port, noDelay, shared, log, onOpen, onSocket } = this.#options
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay })
    this.#server = server
    server.on("connection", onSocket)
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#server !== server) return
      if (server.listening) this.#failedToAccept(error)
      else this.#failed(server, error)
    })
    server.listen(
      { port, backlog: this.#backlog, ...(host !== undefined && { host }), ...(shared && { reusePort: true }) },
      () => {
        if (this.#server !== server) {
          // It was shut before it began, which Node does not take as a word.
          server.close()
          return
        }
        if (this.#state === "retrying") log.info("listener.recovered", { address: this.address })
        this.#state = "listening"
        this.#error = undefined
        this.#backoff.reset()
        this.#up.resolve(true)
        onOpen?.()
      },
    )
  }

  /** One client less; the port is as good as before. */
  #failedToAccept(error: NodeJS.ErrnoException): void {
    const { clock, log } = this.#options
    if (clock.now() < this.#quietUntil) return
    this.#quietUntil = clock.now() + quietMs
    log.warn("listener.lost", { address: this.address, reason: reasonOf(error) })
  }

  #failed(server: Server, error: NodeJS.ErrnoException): void {
    const { clock, log } = this.#options
    const waitMs = this.#backoff.next()
    this.#server = undefined
    server.close()
    if (this.#state !== "retrying" || this.#error !== reasonOf(error)) {
      log.error("listener.failed", { address: this.address, reason: reasonOf(error), retryMs: Math.round(waitMs) })
    }
    this.#state = "retrying"
    this.#error = reasonOf(error)
    this.#up.resolve(false)
    this.#retry = clock.after(waitMs, () => this.#listen())
  }
}

export function doorAddress({ host, port }: { readonly host: string | undefined; readonly port: number }): string {
  return host === undefined ? `*:${port}` : hostPortText({ host, port })
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case "EADDRINUSE":
      return "another process has the port"
    case "EACCES":
      return "this user may not listen on the port"
    case "EADDRNOTAVAIL":
      return "this machine does not have the address"
    case "EMFILE":
    case "ENFILE":
      return "too many open files"
    default:
      return code ?? message
  }
}
