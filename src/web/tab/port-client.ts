/**
 * The client's side of a port to the server worker: the service worker's, or a page's own. It knows for each request
 * whether the server has accepted it, so that whoever sent it knows whether it may be sent again.
 */

import { BodyReceiver } from "./body-receiver.ts"
import { BodySender } from "./body-sender.ts"
import type {
  ControlCalls,
  ControlName,
  ControlValue,
  RequestHead,
  ResponseHead,
  ToClient,
  ToServer,
  Trouble,
} from "./messages.ts"
import { protocolVersion } from "./messages.ts"
import { Outbox } from "./outbox.ts"
import { PortSocket } from "./port-socket.ts"
import type { PortSocketOptions } from "./port-socket.ts"

/** What a request came to. */
export type Outcome =
  | {
      readonly kind: "response"
      readonly head: ResponseHead
      readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | undefined
    }
  /** No answer came. Not accepted: nothing has happened. */
  | { readonly kind: "lost"; readonly isAccepted: boolean }
  | { readonly kind: "failed"; readonly trouble: Trouble }

export interface Sent {
  readonly outcome: Promise<Outcome>
  readonly isAccepted: boolean
  /** Nobody waits for it any more. An answer's stream is cancelled by itself. */
  cancel(): void
}

export class PortClient {
  /** Resolves with the server's epoch; never, if nobody is at the other side. */
  readonly hello: Promise<number>
  readonly #port: MessagePort
  readonly #out: Outbox<ToServer>
  readonly #requests = new Map<number, ClientExchange>()
  readonly #sockets = new Map<number, { readonly pipe: PortSocket; readonly onOpen: (protocol: string) => void }>()
  readonly #calls = new Map<number, { resolve(value: ControlValue): void; reject(trouble: Trouble): void }>()
  #last = 0
  #state: "open" | "draining" | "closed" = "open"
  #pings: (() => void)[] = []

  constructor(port: MessagePort) {
    this.#port = port
    this.#out = new Outbox(port)
    let isHere: (epoch: number) => void
    this.hello = new Promise((resolve) => (isHere = resolve))
    port.onmessage = ({ data }: MessageEvent<readonly ToClient[]>) => {
      for (const message of data) {
        if (message.kind !== "hello") this.#take(message)
        else if (message.protocol === protocolVersion) isHere(message.epoch)
      }
    }
  }

  /** False: what is sent is lost at once, unaccepted. */
  get isOpen(): boolean {
    return this.#state === "open"
  }

  get active(): number {
    return this.#requests.size + this.#sockets.size + this.#calls.size
  }

  /** Sends a request. The body's buffers are the port's from then on. */
  send(head: RequestHead, body: Uint8Array | ReadableStream<Uint8Array> | undefined): Sent {
    const id = ++this.#last
    const post = (message: ToServer, ...transfer: Transferable[]) => this.#out.post(message, ...transfer)
    const exchange = new ClientExchange(id, body instanceof ReadableStream ? body : undefined, post, () =>
      this.#requests.delete(id),
    )
    if (!this.isOpen) exchange.lose()
    else {
      this.#requests.set(id, exchange)
      post({ kind: "request", id, head, body: body instanceof ReadableStream ? true : body })
    }
    return exchange
  }

  socket(
    head: RequestHead,
    protocols: readonly string[],
    options: Omit<PortSocketOptions, "id" | "post"> & { onOpen(protocol: string): void },
  ): PortSocket {
    const id = ++this.#last
    const pipe = new PortSocket({
      ...options,
      id,
      post: (message) => this.#out.post(message),
      onClose: (code, reason) => {
        this.#sockets.delete(id)
        options.onClose(code, reason)
      },
    })
    if (this.isOpen) {
      this.#sockets.set(id, { pipe, onOpen: options.onOpen })
      this.#out.post({ kind: "socket", id, head, protocols })
    } else queueMicrotask(() => pipe.over(1006, ""))
    return pipe
  }

  /** Rejects with a `Trouble`. */
  call<Name extends ControlName>(
    name: Name,
    given: ControlCalls[Name]["given"],
  ): Promise<ControlCalls[Name]["answer"]> {
    return new Promise((resolve, reject: (trouble: Trouble) => void) => {
      if (!this.isOpen) return reject(gone)
      const id = ++this.#last
      this.#calls.set(id, { resolve: (value) => resolve(value as ControlCalls[Name]["answer"]), reject })
      this.#out.post({ kind: "call", id, name, value: given })
    })
  }

  /** Gives a page's port on to the server. */
  connect(port: MessagePort): void {
    this.#out.post({ kind: "connect" }, port)
  }

  /** Resolves when the server answers; never, if it is gone. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#pings.push(resolve)
      this.#out.post({ kind: "ping" })
    })
  }

  /** The server is gone: everything that runs is lost. */
  close(): void {
    this.#state = "closed"
    this.#port.close()
    for (const exchange of this.#requests.values()) exchange.lose()
    for (const { pipe } of this.#sockets.values()) pipe.over(1006, "")
    for (const { reject } of this.#calls.values()) reject(gone)
    this.#requests.clear()
    this.#calls.clear()
  }

  #take(message: Exclude<ToClient, { readonly kind: "hello" }>): void {
    switch (message.kind) {
      case "draining":
        if (this.#state === "open") this.#state = "draining"
        return
      case "pong":
        this.#pings.shift()?.()
        return
      case "opened":
        this.#sockets.get(message.id)?.onOpen(message.protocol)
        return
      case "message":
        this.#sockets.get(message.id)?.pipe.message(message.data)
        return
      case "close":
        this.#sockets.get(message.id)?.pipe.over(message.code, message.reason)
        return
      case "answer":
        this.#calls.get(message.id)?.resolve(message.value)
        this.#calls.delete(message.id)
        return
      case "credit":
        this.#sockets.get(message.id)?.pipe.credit(message.bytes)
        break
      case "failed":
        this.#calls.get(message.id)?.reject(message.trouble)
        this.#calls.delete(message.id)
    }
    this.#requests.get(message.id)?.take(message)
  }
}

const gone: Trouble = { code: "unreachable", text: "The server of this page has ended" }

/** One request and its answer. */
class ClientExchange implements Sent {
  readonly outcome: Promise<Outcome>
  isAccepted = false
  readonly #id: number
  readonly #post: (message: ToServer, ...transfer: Transferable[]) => void
  readonly #onOver: () => void
  #body: ReadableStream<Uint8Array> | undefined
  #request: BodySender | undefined
  #response: BodyReceiver | undefined
  #settle: ((outcome: Outcome) => void) | undefined

  constructor(
    id: number,
    body: ReadableStream<Uint8Array> | undefined,
    post: (message: ToServer, ...transfer: Transferable[]) => void,
    onOver: () => void,
  ) {
    this.#id = id
    this.#body = body
    this.#post = post
    this.#onOver = onOver
    this.outcome = new Promise((resolve) => (this.#settle = resolve))
  }

  take(message: ToClient): void {
    const id = this.#id
    switch (message.kind) {
      case "accepted":
        this.isAccepted = true
        this.#sendBody()
        return
      case "refused":
        this.lose()
        return
      case "credit":
        this.#request?.credit(message.bytes)
        return
      case "enough":
        this.#stopBody()
        return
      case "response": {
        let body = message.body as Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | undefined | true
        if (body === true) {
          this.#response = new BodyReceiver({
            onCredit: (bytes) => this.#post({ kind: "credit", id, bytes }),
            onCancel: () => this.cancel(),
          })
          body = this.#response.stream
        } else this.#over()
        this.#settleWith({ kind: "response", head: message.head, body })
        return
      }
      case "chunk":
        this.#response?.chunk(message.bytes)
        return
      case "end":
        this.#response?.end(message.totalBytes)
        this.#over()
        return
      case "failed":
        this.#response?.fail(new TypeError(message.trouble.text))
        this.#settleWith({ kind: "failed", trouble: message.trouble })
        this.#over()
    }
  }

  cancel(): void {
    this.#post({ kind: "cancel", id: this.#id })
    this.#over()
  }

  lose(): void {
    this.#response?.fail(new TypeError("The server ended before its answer was whole"))
    this.#settleWith({ kind: "lost", isAccepted: this.isAccepted })
    this.#over()
  }

  #settleWith(outcome: Outcome): void {
    this.#settle?.(outcome)
    this.#settle = undefined
  }

  /** Nothing was taken from it before, so that it can be sent to another server. */
  #sendBody(): void {
    if (this.#body === undefined) return
    this.#request = new BodySender({
      id: this.#id,
      source: this.#body.getReader(),
      post: this.#post,
      isOwned: true,
      onEnd: () => undefined,
      onFailure: () => this.cancel(),
      onCancel: () => undefined,
    })
    this.#request.start()
  }

  #stopBody(): void {
    this.#request?.cancel()
  }

  #over(): void {
    this.#stopBody()
    this.#onOver()
  }
}
