/**
 * A WebSocket of a visitor over a stream: the upgrade's answer, then frames (RFC 6455). What the application has not read
 * keeps its credit, so a fast client waits; what the client has not taken keeps the application's `send` waiting.
 *
 *     asking ──101──▶ open ──we close──▶ closing ──the peer closes──▶ over
 *        └─ refused     └──────────── the peer closes, or leaves ──────▶ over
 */

import type { Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import type { RequestHead } from "../../../http1/head.ts"
import type { Visitor } from "../app/visitor.ts"
import { messageBytes, QueuedSocket } from "./tab-socket.ts"
import type { TabServer } from "./tab-server.ts"
import { closePayload, FrameError, FrameReader } from "./websocket-frames.ts"
import { acceptingFields, refusalOf } from "./websocket-handshake.ts"
import { FrameWriter } from "./websocket-writer.ts"

export interface WebSocketCall {
  readonly stream: Stream
  readonly server: TabServer
  readonly visitor: Visitor
  readonly head: RequestHead
  readonly request: Request
  /** Fires the request's signal when the socket is over. */
  readonly controller: AbortController
  /** Answers as an ordinary exchange. */
  readonly refuse: (response: Response) => void
}

/** Messages that wait for the application; beyond it, bytes wait unread, and the client with them. */
const unreadBytes = 256 * 1024
/** A client that does not answer a close is cut off after this, ms. */
const closeMs = 30_000
/** Between pings, ms: they keep ways open that forget quiet connections. Who is silent through two of them is gone. */
const pingMs = 30_000

export function serveWebSocket(call: WebSocketCall): void {
  const refusal = refusalOf(call.head, call.visitor)
  if (refusal !== undefined) {
    call.refuse(refusal)
    return
  }
  const connection = new WebSocketConnection(call)
  call.stream.attach(connection)
  void connection.begin()
}

class WebSocketConnection implements StreamSink {
  readonly #call: WebSocketCall
  readonly #stream: Stream
  readonly #socket: QueuedSocket
  readonly #reader: FrameReader
  readonly #writer: FrameWriter
  #state: "asking" | "open" | "closing" | "over" = "asking"
  /** Bytes that wait until the application has read more. */
  readonly #unparsed: Fifo<Uint8Array> = new Fifo()
  #isParsing = false
  #hasEnded = false
  #isCloseSent = false
  #pings: Timer | undefined
  #patience: Timer | undefined
  #silentPings = 0

  constructor(call: WebSocketCall) {
    this.#call = call
    this.#stream = call.stream
    this.#writer = new FrameWriter(call.stream)
    this.#socket = new QueuedSocket({
      send: (message) => this.#writer.send(message),
      close: (code, reason) => this.#closeByUs(code, reason),
      taken: () => this.#parse(),
    })
    this.#reader = new FrameReader(
      {
        message: (message, bytes) => {
          // Who has closed reads no more.
          if (this.#state === "open") this.#socket.deliver(message, bytes)
        },
        ping: (payload) => this.#writer.pong(payload),
        pong: () => undefined,
        close: (code, reason) => this.#closeByPeer(code, reason),
      },
      messageBytes,
    )
  }

  async begin(): Promise<void> {
    const { server, request, visitor, head, refuse } = this.#call
    const fields = await acceptingFields(head)
    const refusal = await server.socket(this.#socket, request, visitor)
    if (this.#isOver) {
      await refusal?.body?.cancel()
      return
    }
    if (refusal !== undefined) {
      this.#finish(1006, "")
      this.#dropUnparsed()
      refuse(refusal)
      return
    }
    this.#stream.meta({ status: 101, reason: "Switching Protocols", headers: fields })
    this.#state = "open"
    this.#ping()
    this.#socket.open()
    this.#parse()
  }

  data(chunk: Uint8Array): void {
    this.#silentPings = 0
    this.#unparsed.push(chunk)
    this.#parse()
  }

  meta(): void {}

  end(): void {
    // Behind what waits there may be a close.
    this.#hasEnded = true
    this.#parse()
  }

  drain(): void {
    if (this.#writer.drain()) this.#socket.drained()
  }

  closed(error: RdvError | undefined): void {
    this.#patience?.cancel()
    this.#finish(1006, error?.message ?? "")
    this.#dropUnparsed()
  }

  get #isOver(): boolean {
    return this.#state === "over"
  }

  #parse(): void {
    if (this.#isParsing || this.#state === "asking") return
    this.#isParsing = true
    while (this.#state !== "open" || this.#socket.unreadBytes < unreadBytes) {
      const chunk = this.#unparsed.shift()
      if (chunk === undefined) break
      if (!this.#isOver) this.#read(chunk)
      this.#stream.consumed(chunk.length)
    }
    this.#isParsing = false
    if (!this.#hasEnded || this.#unparsed.length > 0) return
    this.#finish(1006, "")
    this.#stream.end()
  }

  #read(chunk: Uint8Array): void {
    try {
      this.#reader.push(chunk)
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown
      this.#finish(thrown.code, thrown.message)
      this.#endWith(thrown.code, thrown.message)
    }
  }

  /** The peer's close: it gets its code back, and the stream ends. */
  #closeByPeer(code: number, reason: string): void {
    const isAnswer = this.#state === "closing"
    this.#finish(code, reason)
    if (!isAnswer) this.#endWith(code === 1005 ? undefined : code, "")
    else if (this.#isCloseSent) this.#stream.end()
    else this.#writer.dropWaiting()
  }

  #closeByUs(code: number, reason: string): void {
    if (this.#state !== "open") return
    this.#state = "closing"
    this.#wait()
    this.#writer.close(closePayload(code, reason), () => this.#closeSent())
    // What nobody will read must not keep the peer's close from being heard.
    this.#parse()
  }

  /** Sends a last frame in place of all that waits. */
  #endWith(code: number | undefined, reason: string): void {
    this.#wait()
    this.#writer.dropWaiting()
    const payload = code === undefined ? new Uint8Array(0) : closePayload(code, reason.slice(0, 100))
    this.#writer.close(payload, () => this.#closeSent())
    if (this.#isCloseSent) this.#stream.end()
  }

  #closeSent(): void {
    this.#isCloseSent = true
    if (this.#isOver) this.#stream.end()
  }

  /** Nobody holds a connection open by not answering. */
  #wait(): void {
    this.#patience ??= this.#call.server.clock.after(closeMs, () => this.#stream.reset("timeout", "No close came back"))
  }

  #ping(): void {
    this.#pings = this.#call.server.clock.after(pingMs, () => {
      if (this.#silentPings++ === 2) {
        this.#finish(1006, "no sign of life")
        this.#stream.reset("timeout", "No sign of life from the visitor")
        return
      }
      this.#writer.ping()
      this.#ping()
    })
  }

  #finish(code: number, reason: string): void {
    if (this.#isOver) return
    this.#state = "over"
    this.#pings?.cancel()
    this.#socket.over(code, reason)
    this.#call.controller.abort(new RdvError("closed", "The socket is closed"))
  }

  #dropUnparsed(): void {
    for (let chunk = this.#unparsed.shift(); chunk !== undefined; chunk = this.#unparsed.shift()) {
      this.#stream.consumed(chunk.length)
    }
  }
}
