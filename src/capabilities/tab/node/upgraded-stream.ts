/** A request for a WebSocket at Node's HTTP server as a stream; what follows the answer 101 is the socket's own bytes. */

import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"
import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { responseHeadBytes } from "../../../http1/write-head.ts"
import { headerOf } from "./http-stream.ts"

/** Bytes that may wait for the application. */
const windowBytes = 256 * 1024

export class UpgradedStream implements Stream {
  readonly id = 0
  readonly service = "http/tab"
  readonly header: JsonObject
  readonly #socket: Socket
  readonly #early: Buffer
  #sink: StreamSink | undefined
  #flight = 0
  #isOver = false

  /** `early`: what came behind the request's head. */
  constructor(request: IncomingMessage, socket: Socket, early: Buffer) {
    this.header = { ...headerOf(request), body: "none" }
    this.#socket = socket
    this.#early = early
  }

  attach(sink: StreamSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (!isFirst) return
    const socket = this.#socket
    socket.setNoDelay(true)
    socket.setTimeout(0)
    socket.on("data", (chunk: Buffer) => this.#data(chunk))
    socket.on("end", () => this.#sink?.end())
    socket.on("drain", () => this.#sink?.drain())
    socket.on("error", () => undefined)
    socket.on("close", (hadError: boolean) => {
      this.#over(hadError ? new RdvError("connection_reset", "The visitor left") : undefined)
    })
    if (this.#early.length > 0) this.#data(this.#early)
  }

  meta(block: JsonObject): boolean {
    const { status, reason, headers } = block as { status: number; reason: string; headers: string[] }
    const isRefusal = status !== 101
    const fields = isRefusal ? [...headers, "Connection", "close"] : headers
    return this.#write(responseHeadBytes({ status, reason, minor: 1, headers: fields }))
  }

  write(chunk: Uint8Array): boolean {
    return this.#write(Buffer.from(chunk))
  }

  end(): void {
    if (!this.#isOver) this.#socket.end()
  }

  reset(code: ErrorCode, reason?: string): void {
    this.#socket.destroy()
    this.#over(new RdvError(code, reason))
  }

  consumed(bytes: number): void {
    this.#flight -= bytes
    if (this.#flight < windowBytes && this.#socket.isPaused()) this.#socket.resume()
  }

  #data(chunk: Buffer): void {
    this.#flight += chunk.length
    if (this.#flight >= windowBytes) this.#socket.pause()
    this.#sink?.data(chunk)
  }

  #write(bytes: Uint8Array): boolean {
    return this.#isOver || this.#socket.write(bytes)
  }

  #over(error: RdvError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sink?.closed(error)
  }
}
