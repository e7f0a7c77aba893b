/** Messages and answers over a WebSocket: one message each way is an exchange. */

import type { Socket } from "node:net"
import { WebSocket } from "ws"
import type { RawData } from "ws"
import { cutSocket } from "../../../sockets/cut.ts"
import type { Message } from "../message/message.ts"
import type { Expectation } from "../scenario/scenario.ts"
import type { Client, ClientEvents, LoadError } from "./client.ts"
import type { Dialer } from "./dialer.ts"
import { hostField, requestTarget } from "./http-request.ts"
import { Judge } from "./judge.ts"
import { connectTimeout, givenUp, oneLine, socketError } from "./load-error.ts"
import { Throttle } from "./throttle.ts"
import type { ThrottleLimits } from "./throttle.ts"

/** A longer message breaks the connection. */
const messageBytes = 64 * 1024 * 1024

export interface WsClientOptions {
  readonly dialer: Dialer
  readonly limits: ThrottleLimits | undefined
  /** Messages are sent as text, or as bytes. */
  readonly text: boolean
  /** What most messages expect: with `any`, unasked messages are passed over. */
  readonly expect: Expectation
}

export class WsClient implements Client {
  slot = 0
  readonly #dialer: Dialer
  readonly #limits: ThrottleLimits | undefined
  readonly #sending: { readonly binary: boolean }
  readonly #events: ClientEvents
  readonly #judge: Judge
  #expect: Expectation
  #giveUp: (() => void) | undefined
  #stream: Socket | Throttle | undefined
  #webSocket: WebSocket | undefined
  #open = false
  #over = false
  #wasCut = false
  #handshakeTimer: NodeJS.Timeout | undefined
  #awaiting = false
  #failure: LoadError | undefined

  constructor({ dialer, limits, text, expect }: WsClientOptions, events: ClientEvents) {
    this.#dialer = dialer
    this.#limits = limits
    this.#sending = { binary: !text }
    this.#events = events
    this.#judge = new Judge(dialer.where)
    this.#expect = expect
  }

  get usable(): boolean {
    return this.#open
  }

  connect(): void {
    const throttle = this.#limits === undefined ? undefined : new Throttle(this.#limits)
    const begun = performance.now()
    this.#giveUp = this.#dialer.dial(throttle?.onread, (error, socket) => {
      if (socket === undefined) {
        this.#closed(error)
        return
      }
      throttle?.attach(socket)
      this.#shakeHands(throttle ?? socket, this.#dialer.connectTimeoutMs - (performance.now() - begun))
    })
  }

  send(message: Message): void {
    this.#awaiting = true
    if (!this.#open) return
    this.#expect = message.expect
    this.#judge.begin(message)
    const { bytes } = message
    // A plain array would be masked in place, and the message is everybody's.
    const view = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#webSocket?.send(view, this.#sending)
  }

  close(): void {
    if (!this.#open || this.#awaiting) {
      this.cut()
      return
    }
    this.#open = false
    this.#webSocket?.close(1000)
  }

  cut(): void {
    if (this.#over) return
    this.#open = false
    this.#failure ??= this.#awaiting ? givenUp(this.#dialer.where) : undefined
    this.#wasCut = true
    clearTimeout(this.#handshakeTimer)
    if (this.#stream !== undefined) {
      cut(this.#stream)
      return
    }
    this.#giveUp?.()
    process.nextTick(() => this.#closed(undefined))
  }

  #shakeHands(stream: Socket | Throttle, leftMs: number): void {
    const { where, connectTimeoutMs, target } = this.#dialer
    this.#stream = stream
    this.#handshakeTimer = setTimeout(() => this.#fail(connectTimeout(where, connectTimeoutMs)), Math.max(1, leftMs))
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // The others are complaints about what came over it.
      const ofSystem = error.code !== undefined && !/^(HPE|WS_ERR)_/.test(error.code)
      this.#failure ??= ofSystem ? socketError(error, where, "open") : this.#explain(error)
    })
    stream.on("close", () => {
      // Without that, the WebSocket's own end says with which code.
      if (this.#wasCut) this.#closed(this.#failure)
    })
    // TLS, if any, is done already: from here on it is a plain WebSocket over this stream.
    const options = {
      createConnection: () => stream,
      headers: { Host: hostField(target) },
      perMessageDeflate: false,
      maxPayload: messageBytes,
      closeTimeout: closeMs,
    }
    const webSocket = new WebSocket(webSocketUrl(this.#dialer), options)
    this.#webSocket = webSocket
    webSocket.on("open", () => {
      clearTimeout(this.#handshakeTimer)
      if (this.#wasCut) return
      this.#open = true
      this.#events.opened(this)
    })
    webSocket.on("unexpected-response", (_request, { statusCode }) => {
      this.#fail({ kind: "status", detail: `${where} answered the WebSocket handshake with status ${statusCode}` })
    })
    webSocket.on("message", (data) => this.#receive(data))
    webSocket.on("error", (error) => (this.#failure ??= this.#explain(error)))
    webSocket.on("close", (code) => this.#ended(code))
  }

  #receive(data: RawData): void {
    if (!this.#open) return
    // With the usual `binaryType` it is nothing else.
    const bytes = data as Buffer
    if (!this.#awaiting) {
      if (this.#expect.kind === "any") return
      const detail = `${this.#dialer.where} sent a message of ${bytes.length} bytes that nobody asked for`
      this.#fail({ kind: "protocol", detail })
      return
    }
    this.#awaiting = false
    this.#judge.take(bytes, 0, bytes.length)
    this.#events.answered(this, bytes.length, this.#judge.verdict())
  }

  #ended(code: number): void {
    if (this.#failure === undefined && (this.#awaiting || !orderly.has(code))) {
      const how = code === noCloseFrame ? "without a close frame" : `with code ${code}`
      this.#failure = { kind: "closed early", detail: `${this.#dialer.where} closed the connection ${how}` }
    }
    this.#closed(this.#failure)
  }

  #explain(error: Error): LoadError {
    const { where } = this.#dialer
    const { code } = error as NodeJS.ErrnoException
    if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") {
      return { kind: "wrong answer", detail: `${where} sent a message of more than ${messageBytes} bytes` }
    }
    if (code === "ECONNRESET") {
      return { kind: "closed early", detail: `${where} closed the connection during the WebSocket handshake` }
    }
    return { kind: "protocol", detail: `${where} broke the rules of WebSockets: ${oneLine(error.message)}` }
  }

  #fail(error: LoadError): void {
    this.#failure ??= error
    this.#open = false
    this.#wasCut = true
    if (this.#stream !== undefined) cut(this.#stream)
    this.#closed(this.#failure)
  }

  #closed(error: LoadError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#open = false
    clearTimeout(this.#handshakeTimer)
    this.#events.closed(this, error)
  }
}

/** Where the handshake asks; throws `usage`. */
export function webSocketUrl({ target }: Dialer): string {
  return `ws://${hostField(target)}${requestTarget(target)}`
}

/** How long the other side may take to answer a close frame, ms. */
const closeMs = 1000
/** Normal, going away, no code given: RFC 6455 section 7.4.1. */
const orderly: ReadonlySet<number> = new Set([1000, 1001, 1005])
const noCloseFrame = 1006

function cut(stream: Socket | Throttle): void {
  if (stream instanceof Throttle) stream.cut()
  else cutSocket(stream)
}
