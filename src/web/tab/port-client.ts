/**
 * The client's side of a port to the server worker: the service worker's, or a page's own. It knows for each request
 * whether the server has accepted it, so that whoever sent it knows whether it may be sent again.
 */

import { BodyReceiver } from "./body-receiver.ts"
import { BodySender } from "./body-sender.ts"
import type { RequestHead, ResponseHead, ToClient, ToServer, Trouble } from "./messages.ts"
import { Outbox } from "./outbox.ts"

/** Messages that belong to one exchange, socket or call. */
export type ToOne = Exclude<ToClient, { readonly kind: "hello" | "draining" }>

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
  /** Nobody waits for it any more; an answer's stream fails with the reason. */
  cancel(reason?: unknown): void
}

export class PortClient {
  readonly #port: MessagePort
  readonly #out: Outbox<ToServer>
  readonly #requests = new Map<number, ClientExchange>()
  #last = 0
  #isOpen = true

  constructor(port: MessagePort) {
    this.#port = port
    this.#out = new Outbox(port)
    port.onmessage = ({ data }: MessageEvent<readonly ToClient[]>) => {
      for (const message of data) {
        if (message.kind === "hello") this.hello(message.protocol, message.epoch)
        else if (message.kind === "draining") this.#isOpen = false
        else {
          const exchange = this.#requests.get(message.id)
          if (exchange === undefined) this.other(message)
          else exchange.take(message)
        }
      }
    }
  }

  /** False: what is sent is lost at once, unaccepted. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Sends a request. The body's buffers are the port's from then on; a stream is not touched before it is accepted. */
  send(head: RequestHead, body: Uint8Array | ReadableStream<Uint8Array> | undefined): Sent {
    const id = this.nextId()
    const stream = body instanceof ReadableStream ? body : undefined
    const exchange = new ClientExchange(id, stream, this.#out, () => this.#requests.delete(id))
    if (!this.#isOpen) exchange.lose()
    else {
      this.#requests.set(id, exchange)
      this.post({ kind: "request", id, head, body: stream === undefined ? (body as Uint8Array | undefined) : true })
    }
    return exchange
  }

  /** Gives a page's port on to the server. */
  connect(port: MessagePort): void {
    this.post({ kind: "connect" }, port)
  }

  /** The server is gone: everything that runs is lost. */
  close(): void {
    this.#isOpen = false
    this.#port.close()
    for (const exchange of this.#requests.values()) exchange.lose()
  }

  protected nextId(): number {
    return ++this.#last
  }

  protected post(message: ToServer, ...transfer: Transferable[]): void {
    this.#out.post(message, ...transfer)
  }

  /** The server is there. */
  protected hello(_protocol: number, _epoch: number): void {
    // Who introduced the service worker's port has said the same.
  }

  /** What is no answer to a request. */
  protected other(_message: ToOne): void {
    // A page's port has more: see PagePort.
  }
}

/** One request and its answer. */
class ClientExchange implements Sent {
  readonly outcome: Promise<Outcome>
  isAccepted = false
  readonly #id: number
  readonly #out: Outbox<ToServer>
  readonly #onOver: () => void
  #body: ReadableStream<Uint8Array> | undefined
  #request: BodySender | undefined
  #response: BodyReceiver | undefined
  #isFeed = false
  #isOver = false
  #settle: ((outcome: Outcome) => void) | undefined

  constructor(id: number, body: ReadableStream<Uint8Array> | undefined, out: Outbox<ToServer>, onOver: () => void) {
    this.#id = id
    this.#body = body
    this.#out = out
    this.#onOver = onOver
    this.outcome = new Promise((resolve) => (this.#settle = resolve))
  }

  take(message: ToOne): void {
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
          this.#isFeed = message.head.headers.some(([, value]) => value.startsWith("text/event-stream"))
          this.#response = new BodyReceiver({
            onCredit: (bytes) => this.#out.post({ kind: "credit", id, bytes }),
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
        this.#breakOff(message.trouble.text)
        this.#settleWith({ kind: "failed", trouble: message.trouble })
        this.#over()
        return
      default:
      // Those of sockets and calls have ids of their own.
    }
  }

  cancel(reason?: unknown): void {
    if (this.#isOver) return
    this.#out.post({ kind: "cancel", id: this.#id })
    this.#response?.fail(reason)
    this.#settleWith({ kind: "failed", trouble: { code: "cancelled", text: "" } })
    this.#over()
  }

  lose(): void {
    this.#breakOff("The server ended before its answer was whole")
    this.#settleWith({ kind: "lost", isAccepted: this.isAccepted })
    this.#over()
  }

  /** A feed of events has no whole: browsers come back after an end, and give up after an error. */
  #breakOff(text: string): void {
    this.#response?.fail(this.#isFeed ? undefined : new TypeError(text))
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
      post: (message, ...transfer) => this.#out.post(message, ...transfer),
      isOwned: true,
      onEnd: () => undefined,
      onFailure: (error) => {
        this.#settleWith({
          kind: "failed",
          trouble: { code: "cancelled", text: String(error) },
        })
        this.cancel()
      },
      onCancel: () => undefined,
    })
    this.#request.start()
  }

  #stopBody(): void {
    this.#request?.cancel()
  }

  #over(): void {
    this.#isOver = true
    this.#stopBody()
    this.#onOver()
  }
}
