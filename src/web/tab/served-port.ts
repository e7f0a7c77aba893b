/** One port of the server worker: what runs over it, and the messages both ways. */

import { RdvError } from "../../base/error.ts"
import { QueuedSocket } from "../../capabilities/tab/serve/tab-socket.ts"
import type { Control, ControlValue, PortUser, RequestHead, ToClient, ToServer } from "./messages.ts"
import { protocolVersion } from "./messages.ts"
import { Outbox } from "./outbox.ts"
import type { PortApp } from "./port-server.ts"
import { PortSocket } from "./port-socket.ts"
import { requestOf, ServedExchange } from "./served-exchange.ts"
import { troubleOf } from "./trouble.ts"

export interface ServedPortOptions {
  readonly port: MessagePort
  readonly from: PortUser
  readonly server: PortApp
  readonly epoch: number
  readonly control?: Control
  /** The service worker passes a page's own port on. */
  readonly onConnect: (port: MessagePort) => void
  readonly onUse: () => void
}

export class ServedPort {
  readonly from: PortUser
  readonly #options: ServedPortOptions
  readonly #out: Outbox<ToClient>
  readonly #exchanges = new Map<number, ServedExchange>()
  readonly #sockets = new Map<number, PortSocket>()
  #isDraining = false

  constructor(options: ServedPortOptions) {
    const { port, from, epoch, onUse } = options
    this.from = from
    this.#options = options
    this.#out = new Outbox(port)
    port.onmessage = ({ data, ports }: MessageEvent<readonly ToServer[]>) => {
      onUse()
      const given = [...ports]
      for (const message of data) this.#take(message, given)
    }
    // Some browsers tell of it sometimes.
    port.addEventListener("close", () => this.close())
    this.#out.post({ kind: "hello", protocol: protocolVersion, epoch })
  }

  get active(): number {
    return this.#exchanges.size + this.#sockets.size
  }

  endStreams(): void {
    for (const exchange of this.#exchanges.values()) exchange.endStream()
  }

  drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#out.post({ kind: "draining" })
  }

  close(): void {
    for (const exchange of this.#exchanges.values()) exchange.cancel()
    for (const socket of this.#sockets.values()) socket.over(1001, "")
    this.#exchanges.clear()
    this.#sockets.clear()
    this.#out.flush()
    this.#options.port.close()
  }

  #take(message: ToServer, ports: MessagePort[]): void {
    switch (message.kind) {
      case "request":
        this.#request(message)
        return
      case "socket":
        void this.#socket(message.id, message.head, message.protocols)
        return
      case "chunk":
        this.#exchanges.get(message.id)?.chunk(message.bytes)
        return
      case "end":
        this.#exchanges.get(message.id)?.end(message.totalBytes)
        return
      case "credit":
        this.#exchanges.get(message.id)?.credit(message.bytes)
        this.#sockets.get(message.id)?.credit(message.bytes)
        return
      case "cancel":
        this.#exchanges.get(message.id)?.cancel()
        return
      case "message":
        this.#sockets.get(message.id)?.message(message.data)
        return
      case "close":
        this.#sockets.get(message.id)?.over(message.code, message.reason)
        return
      case "call":
        void this.#call(message)
        return
      case "connect": {
        const port = ports.shift()
        if (port !== undefined && this.from === "service-worker") this.#options.onConnect(port)
      }
    }
  }

  #request({ id, head, body }: ToServer & { readonly kind: "request" }): void {
    if (this.#isDraining) {
      this.#out.post({ kind: "refused", id, trouble: { code: "draining", text: "The server ends" } })
      return
    }
    if (this.active >= maxActive) {
      this.#out.post({ kind: "accepted", id })
      const bytes = new TextEncoder().encode(`More than ${maxActive} requests at once\n`)
      const headers = [
        ["content-type", "text/plain; charset=utf-8"],
        ["retry-after", "1"],
      ] as const
      this.#out.post({ kind: "response", id, head: { status: 503, statusText: "", headers }, body: bytes })
      return
    }
    const exchange = new ServedExchange({
      id,
      head,
      body,
      server: this.#options.server,
      post: (message, ...transfer) => this.#out.post(message, ...transfer),
      onOver: () => this.#exchanges.delete(id),
    })
    this.#exchanges.set(id, exchange)
    this.#out.post({ kind: "accepted", id })
    exchange.start()
  }

  async #socket(id: number, head: RequestHead, protocols: readonly string[]): Promise<void> {
    const post = (message: ToClient) => this.#out.post(message)
    if (this.#isDraining || this.active >= maxActive) {
      post({ kind: "close", id, code: 1013, reason: this.#isDraining ? "The server ends" : "Too many sockets" })
      return
    }
    const carrier = {
      send: (data: string | Uint8Array) => pipe.send(data),
      close: (code: number, reason: string) => pipe.close(code, reason),
      taken: (size: number) => pipe.taken(size),
    }
    const queued = new QueuedSocket(carrier)
    const pipe: PortSocket = new PortSocket({
      id,
      post,
      onMessage: (data, size) => queued.deliver(data, size),
      onRoom: () => queued.drained(),
      onClose: (code, reason) => {
        this.#sockets.delete(id)
        queued.over(code, reason)
      },
    })
    this.#sockets.set(id, pipe)
    try {
      const request = requestOf(head, null, new AbortController().signal)
      request.headers.set("upgrade", "websocket")
      if (protocols.length > 0) request.headers.set("sec-websocket-protocol", protocols.join(", "))
      const refusal = await this.#options.server.socket(queued, request, { kind: "own" })
      if (refusal !== undefined) {
        // The text of a close may have 123 bytes.
        pipe.close(1008, `${refusal.status} ${refusal.statusText}`.trim())
        refusal.body?.cancel().catch(() => undefined)
        return
      }
      post({ kind: "opened", id, protocol: "" })
      queued.open()
    } catch (error) {
      pipe.close(1011, troubleOf(error).code)
    }
  }

  async #call({ id, name, value }: ToServer & { readonly kind: "call" }): Promise<void> {
    try {
      const { control } = this.#options
      const call = control?.[name] as ((value: ControlValue) => Promise<ControlValue>) | undefined
      if (call === undefined || this.from !== "page") throw new RdvError("no_service")
      this.#out.post({ kind: "answer", id, value: await call.call(control, value) })
    } catch (error) {
      this.#out.post({ kind: "failed", id, trouble: troubleOf(error) })
    }
  }
}

/** Per port: a page that asks for more has lost its way. */
const maxActive = 1024
