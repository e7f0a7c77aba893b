/**
 * The server worker's side of its ports: requests and sockets of the own browser's pages, by way of the service worker or
 * directly, each with credit both ways. All of them come from this origin, so they are the `own` visitor's.
 */

import type { TabSocket } from "../../capabilities/tab/app/socket.ts"
import type { Visitor } from "../../capabilities/tab/app/visitor.ts"
import type { Control, PortUser } from "./messages.ts"
import { ServedPort } from "./served-port.ts"

/** What ports need of a server: `TabServer` is one. */
export interface PortApp {
  fetch(request: Request, visitor: Visitor): Promise<Response>
  /** Resolves with undefined when it was taken, with an answer when it was refused. */
  socket(socket: TabSocket, request: Request, visitor: Visitor): Promise<Response | undefined>
  /** An answer is on its way until the function that this gives is called. */
  hold(): () => void
}

export interface PortServerOptions {
  readonly server: PortApp
  readonly epoch: number
  /** Without it pages' calls fail with `no_service`. */
  readonly control?: Control
}

export class PortServer {
  readonly #options: PortServerOptions
  /** The one that was used least recently comes first. */
  readonly #ports = new Set<ServedPort>()
  #isDraining = false

  constructor(options: PortServerOptions) {
    this.#options = options
  }

  /** Serves it until `close`. Ports do not tell when their other side is gone: of many, the one that is idle longest goes. */
  serve(port: MessagePort, from: PortUser): void {
    const served: ServedPort = new ServedPort({
      ...this.#options,
      port,
      from,
      onConnect: (another) => this.serve(another, "page"),
      onUse: () => {
        this.#ports.delete(served)
        this.#ports.add(served)
      },
    })
    this.#ports.add(served)
    if (this.#isDraining) served.drain()
    if (this.#ports.size <= maxPorts) return
    const idle = [...this.#ports].find((each) => each.active === 0 && each !== served)
    if (idle === undefined) return
    this.#ports.delete(idle)
    // Its page may be there all the same, and takes another port then.
    idle.drain()
    idle.close()
  }

  /** Requests and sockets that run. */
  get active(): number {
    let sum = 0
    for (const port of this.#ports) sum += port.active
    return sum
  }

  /** Breaks off the responses at the service worker's ports that have begun: they may be without an end (a feed of events). */
  endStreams(): void {
    for (const port of this.#ports) if (port.from === "service-worker") port.endStreams()
  }

  /** Takes nothing new: clients keep what is not accepted for the next server. What runs goes on. */
  drain(): void {
    this.#isDraining = true
    for (const port of this.#ports) port.drain()
  }

  /** Ends what still runs. */
  close(): void {
    this.drain()
    for (const port of this.#ports) port.close()
    this.#ports.clear()
  }
}

/** One per page, and some that pages have left behind. */
const maxPorts = 256
