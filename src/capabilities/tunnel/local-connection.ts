/**
 * One connection to a local service, one exchange at a time: writes requests as HTTP/1.1, reads answers, tells when it can
 * be used again.
 */

import type { Socket } from "node:net"
import { RdvError } from "../../base/error.ts"
import { ChunkedDecoder } from "../../http1/chunked.ts"
import { persists, responseFraming } from "../../http1/framing.ts"
import type { ResponseHead } from "../../http1/head.ts"
import { badResponse } from "../../http1/http-error.ts"
import { ResponseReader } from "../../http1/response-reader.ts"
import { cutSocket } from "../../sockets/cut.ts"
import { SocketOutlet } from "../../sockets/outlet.ts"
import type { SocketReader } from "../../sockets/socket-reader.ts"

/** Who hears the answer. */
export interface AnswerSink {
  readonly method: string
  /** An interim answer, or the final head; 101 makes the connection a raw one. */
  answerHead(head: ResponseHead): void
  /** False asks for a pause until `resume`. */
  answerData(chunk: Uint8Array): boolean
  /** The answer is complete; the connection is no longer the sink's, unless it is a raw one. */
  answerEnd(trailers: readonly string[]): void
  /** Bytes of `write` were taken by the kernel. */
  taken(bytes: number): void
  /** The connection broke before the answer was complete. `untouched`: not one byte of an answer had come. */
  broken(error: RdvError, untouched: boolean): void
}

/** The pool, as far as a connection knows it. */
export interface ConnectionHome {
  release(connection: LocalConnection): void
  closed(connection: LocalConnection): void
}

type State = "idle" | "head" | "length" | "chunked" | "close" | "raw" | "over"

export class LocalConnection {
  readonly #socket: Socket
  readonly #home: ConnectionHome
  /** Of the present exchange: what an earlier one still has in the socket is no credit of this one. */
  #outlet: SocketOutlet
  readonly #responses: ResponseReader = new ResponseReader()
  #state: State = "idle"
  #sink: AnswerSink | undefined
  #left = 0
  #chunked: ChunkedDecoder | undefined
  #persists = false
  #untouched = true
  /** The request has been written to its end. */
  #requestDone = false
  /** The service has ended its side of an upgraded connection. */
  #rawEnded = false
  /** It has carried an exchange before. */
  used = false

  constructor(socket: Socket, reader: SocketReader, home: ConnectionHome) {
    this.#socket = socket
    this.#home = home
    this.#outlet = new SocketOutlet(socket, () => undefined)
    reader.receive = (bytes) => {
      this.#receive(bytes)
      // The stream has copied what it took.
      return false
    }
    socket.on("end", () => this.#onEnd())
    socket.on("error", (error: NodeJS.ErrnoException) => this.#break(lost(error)))
    socket.on("close", () => {
      // An upgraded connection that both sides have ended is complete, however long the stream still takes.
      if (this.#state === "raw" && this.#rawEnded && socket.writableFinished) this.#state = "over"
      this.#break(lost(undefined))
      reader.release()
      home.closed(this)
    })
    // Also at rest it is read: that is how a service's good-bye is heard.
    socket.resume()
  }

  /** False from the moment that the service has left. */
  get alive(): boolean {
    return this.#state !== "over"
  }

  /** Starts an exchange. */
  begin(sink: AnswerSink, head: Uint8Array, requestDone: boolean): void {
    this.#sink = sink
    this.#outlet = new SocketOutlet(this.#socket, (bytes) => sink.taken(bytes))
    this.#state = "head"
    this.#untouched = true
    this.#requestDone = requestDone
    this.#socket.write(head)
  }

  /** More of the request, or of a raw connection. `counted` bytes of it come back by `taken`. */
  write(bytes: Uint8Array, counted: number): void {
    this.#outlet.write(bytes, counted)
  }

  writeAll(parts: readonly Uint8Array[], counted: number): void {
    this.#socket.cork()
    for (const part of parts) this.#socket.write(part)
    this.#socket.uncork()
    this.#outlet.settle(counted)
  }

  /** The request is complete; on a raw connection, our side has ended. */
  endRequest(): void {
    this.#requestDone = true
    if (this.#state === "raw") this.#socket.end()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends the connection when everything is written; the sink hears no more. */
  finish(): void {
    this.#state = "over"
    this.#sink = undefined
    this.#socket.destroySoon()
  }

  /** Ends the connection; the sink hears no more. */
  destroy(): void {
    this.#state = "over"
    this.#sink = undefined
    this.#socket.destroy()
  }

  /** Ends it so that the service notices: a reset, not an end in good order. */
  cut(): void {
    this.#state = "over"
    this.#sink = undefined
    cutSocket(this.#socket)
  }

  #receive(bytes: Uint8Array): void {
    try {
      this.#read(bytes, 0)
    } catch (thrown) {
      this.#break(thrown instanceof RdvError ? thrown : new RdvError("bad_response", String(thrown)))
    }
  }

  #read(bytes: Uint8Array, from: number): void {
    switch (this.#state) {
      case "head":
        this.#readHead(bytes, from)
        return
      case "length": {
        const end = Math.min(bytes.length, from + this.#left)
        this.#left -= end - from
        this.#pass(bytes, from, end)
        if (this.#left === 0) this.#done([], end < bytes.length)
        return
      }
      case "chunked": {
        const chunked = this.#chunked as ChunkedDecoder
        let trailers: readonly string[] | undefined
        const sink = {
          data: (sub: Uint8Array) => this.#pass(sub, 0, sub.length),
          end: (fields: string[]) => void (trailers = fields),
        }
        const used = chunked.push(bytes, sink, from)
        if (trailers !== undefined) this.#done(trailers, used < bytes.length)
        return
      }
      case "close":
      case "raw":
        this.#pass(bytes, from, bytes.length)
        return
      case "idle":
        this.#unasked()
        return
      case "over":
        return
    }
  }

  #readHead(bytes: Uint8Array, from: number): void {
    this.#untouched = false
    const read = this.#responses.push(bytes, from)
    if (read === undefined) return
    const sink = this.#sink as AnswerSink
    const { head, used } = read
    if (head.status < 200 && head.status !== 101) {
      sink.answerHead(head)
      if (used < bytes.length) this.#read(bytes, used)
      return
    }
    const framing = responseFraming(sink.method, head)
    this.#persists = persists(head) && framing.kind !== "close"
    switch (framing.kind) {
      case "length":
        this.#state = "length"
        this.#left = framing.length
        break
      case "chunked":
        this.#state = "chunked"
        this.#chunked = new ChunkedDecoder(badResponse)
        break
      case "tunnel":
        this.#state = "raw"
        break
      case "close":
        this.#state = "close"
        break
      case "none":
        break
    }
    sink.answerHead(head)
    // The sink may have left meanwhile.
    if (this.#sink !== sink) return
    if (framing.kind === "none" || (framing.kind === "length" && framing.length === 0)) {
      this.#done([], used < bytes.length)
      return
    }
    if (used < bytes.length) this.#read(bytes, used)
  }

  #pass(bytes: Uint8Array, from: number, to: number): void {
    if (from === to || this.#sink === undefined) return
    const chunk = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
    if (!this.#sink.answerData(chunk)) this.#socket.pause()
  }

  /** The answer is complete. `more`: the service sent something behind it, which nobody asked for. */
  #done(trailers: readonly string[], more: boolean): void {
    const sink = this.#sink
    this.#chunked = undefined
    const reusable = this.#persists && this.#requestDone && !more && !this.#socket.destroyed
    this.#sink = undefined
    this.#state = reusable ? "idle" : "over"
    this.used = true
    sink?.answerEnd(trailers)
    if (reusable) {
      this.#socket.resume()
      this.#home.release(this)
    } else if (!this.#requestDone) this.cut()
    else this.#socket.destroySoon()
  }

  #unasked(): void {
    this.#break(new RdvError("bad_response", "The target sent more than its answer"))
  }

  #onEnd(): void {
    if (this.#state === "close") {
      this.#done([], false)
    } else if (this.#state === "raw") {
      this.#rawEnded = true
      this.#sink?.answerEnd([])
    } else {
      this.#break(lost(undefined))
    }
  }

  #break(error: RdvError): void {
    if (this.#state === "over") return
    const sink = this.#sink
    this.#state = "over"
    this.#sink = undefined
    this.#socket.destroy()
    sink?.broken(error, this.#untouched)
  }
}

function lost(error: NodeJS.ErrnoException | undefined): RdvError {
  const what = error?.code === "ECONNRESET" ? "reset the connection" : "closed the connection"
  return new RdvError("connection_reset", `the target ${what} before its answer was complete`, { cause: error })
}
