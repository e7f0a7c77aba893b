/**
 * One exchange at a server of an application: a stream that was opened for `http/…` (docs/protocol.md, section 9.2), its
 * header the head of a request. The body streams in as the application reads, the answer streams out as the visitor takes
 * it, and a visitor that leaves stops the application.
 */

import { asRdvError, RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import type { RequestHead } from "../../../http1/head.ts"
import { readRequestHead } from "../../../http1/read-head.ts"
import type { Visitor } from "../app/visitor.ts"
import { IncomingBody } from "./incoming-body.ts"
import { asksForWebSocket, flatHeaders, headersFrom, urlOf } from "./message-head.ts"
import { OutgoingBody } from "./outgoing-body.ts"
import { httpDate, reasonOf } from "./status-line.ts"
import { oneLine, plainAnswer } from "./plain-answer.ts"
import { servedRequest } from "./served-request.ts"
import type { TabServer } from "./tab-server.ts"
import { serveWebSocket } from "./websocket.ts"

/** Takes the stream over. A header that is no request resets it with `protocol`. */
export function serveExchange(
  stream: Stream,
  server: TabServer,
  visitor: Visitor,
  header: JsonObject = stream.header,
): void {
  let head: RequestHead
  try {
    head = readRequestHead(header)
  } catch (thrown) {
    const error = asRdvError(thrown)
    stream.reset(error.code, error.message)
    return
  }
  const controller = new AbortController()
  const incoming = new IncomingBody((bytes) => stream.consumed(bytes))
  const bodyless = head.method === "GET" || head.method === "HEAD" || header["body"] === "none"
  if (bodyless) incoming.drop()
  const begin = () => {
    const exchange = new Exchange(stream, server, head, incoming, controller)
    stream.attach(exchange)
    return exchange
  }
  let request: Request
  try {
    request = servedRequest({
      url: urlOf(head),
      method: head.method,
      headers: headersFrom(head.headers),
      body: bodyless ? null : incoming.stream,
      signal: controller.signal,
    })
  } catch {
    // TRACE, or an address that is none.
    begin().answer(plainAnswer(501, `The server takes no ${head.method} requests like this one`))
    return
  }
  if (asksForWebSocket(head)) {
    const refuse = (response: Response) => begin().answer(response)
    serveWebSocket({ stream, server, visitor, head, request, controller, refuse })
    return
  }
  const exchange = begin()
  void server.fetch(request, visitor).then((response) => exchange.answer(response))
}

class Exchange implements StreamSink {
  readonly #stream: Stream
  readonly #server: TabServer
  readonly #head: RequestHead
  readonly #incoming: IncomingBody
  readonly #outgoing: OutgoingBody
  readonly #controller: AbortController
  readonly #release: () => void
  #response: Response | undefined
  /** Its body has no end of its own. */
  #isEndless = false
  #isCut = false
  #isOver = false
  #hasAnswered = false

  constructor(
    stream: Stream,
    server: TabServer,
    head: RequestHead,
    incoming: IncomingBody,
    controller: AbortController,
  ) {
    this.#stream = stream
    this.#server = server
    this.#head = head
    this.#incoming = incoming
    this.#outgoing = new OutgoingBody(stream, { clock: server.clock, send: (wholeBytes) => this.#sendHead(wholeBytes) })
    this.#controller = controller
    this.#release = server.hold(() => this.#drain())
  }

  answer(response: Response): void {
    this.#send(response).catch((thrown: unknown) => {
      // Whoever makes the rest may stop; a body that is being read was told already.
      response.body?.cancel().catch(() => undefined)
      if (this.#isOver) return
      // Broken off: whoever reads must not take it for whole.
      const { method, target } = this.#head
      this.#server.log.warn("tab.answer_failed", { method, path: pathOf(target), reason: oneLine(thrown) })
      this.#finish()
      this.#stream.reset("connection_reset", "The application's answer broke off")
    })
  }

  async #send(response: Response): Promise<void> {
    const { body, status } = response
    if (this.#isOver) {
      // The visitor left while the application thought.
      await body?.cancel()
      return
    }
    this.#response = response
    const isBare = this.#head.method === "HEAD" || status === 204 || status === 205 || status === 304
    if (body === null || isBare) {
      this.#sendHead()
      body?.cancel().catch(() => undefined)
    } else {
      this.#isEndless = isEventStream(response)
      const sending = this.#outgoing.send(body, this.#isEndless)
      if (this.#server.isDraining) this.#drain()
      if (!(await sending) && !this.#isCut) return
    }
    this.#hasAnswered = true
    this.#stream.end()
    // What the visitor still sends is dropped, so that the stream can end.
    this.#incoming.discard()
    this.#finish()
  }

  #sendHead(wholeBytes?: number): void {
    const { status, statusText, headers: fields } = this.#response as Response
    const headers = flatHeaders(fields)
    // RFC 9110 section 6.6.1: who has a clock says when the answer was made.
    if (!fields.has("date")) headers.push("date", httpDate(this.#server.clock.wall()))
    if (wholeBytes !== undefined && !fields.has("content-length")) headers.push("content-length", String(wholeBytes))
    this.#stream.meta({ status, reason: statusText || reasonOf(status), headers })
  }

  /** The server is shutting down: events end in good order, because their clients come again by themselves. */
  #drain(): void {
    if (!this.#isEndless || this.#isOver) return
    this.#isCut = true
    this.#outgoing.stop(new RdvError("draining", "The server is shutting down"))
  }

  data(chunk: Uint8Array): void {
    this.#incoming.data(chunk)
  }

  meta(): void {
    // Trailers: requests of the web platform have none.
  }

  end(): void {
    this.#incoming.end()
  }

  drain(): void {
    this.#outgoing.drain()
  }

  closed(error: RdvError | undefined): void {
    if (!this.#hasAnswered) {
      const reason = error ?? new RdvError("cancelled", "The visitor left")
      this.#incoming.fail(reason)
      this.#outgoing.stop(reason)
      this.#controller.abort(reason)
    }
    this.#finish()
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#release()
  }
}

function isEventStream(response: Response): boolean {
  return /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")
}

function pathOf(target: string): string {
  const query = target.indexOf("?")
  return query < 0 ? target : target.slice(0, query)
}
