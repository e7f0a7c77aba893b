/**
 * Messages and answers over a socket: TCP, TLS, unix, and HTTP, which is only another way to find an answer's end. All
 * connections of the process read into one buffer; what arrives is looked at in place and forgotten.
 */

import type { OnReadOpts, Socket } from "node:net"
import { cutSocket } from "../../../sockets/cut.ts"
import type { Message } from "../message/message.ts"
import { broken } from "./answer-reader.ts"
import type { AnswerReader } from "./answer-reader.ts"
import type { Client, ClientEvents, LoadError } from "./client.ts"
import type { Dialer } from "./dialer.ts"
import { givenUp, socketError } from "./load-error.ts"
import { Throttle } from "./throttle.ts"
import type { ThrottleLimits } from "./throttle.ts"

/** More brings nothing: bulk reads grow no faster above 256 KiB. */
const sharedBytes = 256 * 1024
// Process-wide on purpose: it is written and read within one callback.
const shared = Buffer.allocUnsafeSlow(sharedBytes)

/** After an answer that ends the connection, the other side may end it first for so long, ms: then its port is free at once. */
const lingerMs = 200

export interface SocketClientOptions {
  readonly dialer: Dialer
  readonly reader: AnswerReader
  /** Undefined: at full speed. */
  readonly limits: ThrottleLimits | undefined
}

type State = "new" | "connecting" | "open" | "closing" | "over"

export class SocketClient implements Client {
  slot = 0
  readonly #dialer: Dialer
  readonly #reader: AnswerReader
  readonly #limits: ThrottleLimits | undefined
  readonly #events: ClientEvents
  #state: State = "new"
  #awaiting = false
  #giveUp: (() => void) | undefined
  #socket: Socket | Throttle | undefined
  /** Of the last message: a view as Node's sockets want it, made once for a message that is sent again. */
  #view: Buffer | undefined
  #viewOf: Uint8Array | undefined

  constructor({ dialer, reader, limits }: SocketClientOptions, events: ClientEvents) {
    this.#dialer = dialer
    this.#reader = reader
    this.#limits = limits
    this.#events = events
  }

  get usable(): boolean {
    return this.#state === "open"
  }

  connect(): void {
    this.#state = "connecting"
    const throttle = this.#limits === undefined ? undefined : new Throttle(this.#limits)
    const onread: OnReadOpts = throttle?.onread ?? {
      buffer: shared,
      callback: (length) => {
        this.#receive(shared, length)
        return true
      },
    }
    this.#giveUp = this.#dialer.dial(onread, (error, socket) => {
      if (socket === undefined) {
        this.#closed(error)
        return
      }
      throttle?.attach(socket)
      throttle?.on("data", (bytes: Buffer) => this.#receive(bytes, bytes.length))
      this.#open(throttle ?? socket)
    })
  }

  send(message: Message): void {
    this.#awaiting = true
    // Sent in spite of `usable`: the `closed` that is on its way tells.
    if (this.#state !== "open") return
    const nothingToAwait = this.#reader.begin(message)
    const socket = this.#socket as Socket | Throttle
    if (nothingToAwait) socket.write(this.#viewed(message.bytes), this.#sent)
    else socket.write(this.#viewed(message.bytes))
  }

  close(): void {
    // Whatever is awaited now is not heard any more.
    if (this.#state === "new" || this.#state === "connecting" || this.#awaiting) this.cut()
    if (this.#state !== "open") return
    this.#state = "closing"
    const socket = this.#socket as Socket | Throttle
    if (socket instanceof Throttle) socket.end(() => socket.destroy())
    else socket.destroySoon()
  }

  cut(): void {
    if (this.#state === "new" || this.#state === "connecting") {
      this.#state = "closing"
      this.#giveUp?.()
      process.nextTick(() => this.#closed(undefined))
    } else if (this.#state !== "over") {
      this.#state = "closing"
      const socket = this.#socket as Socket | Throttle
      if (this.#awaiting) socket.prependOnceListener("close", () => this.#closed(givenUp(this.#dialer.where)))
      cut(socket)
    }
  }

  #open(socket: Socket | Throttle): void {
    this.#state = "open"
    this.#socket = socket
    socket.on("end", () => this.#ended())
    socket.on("error", (error) => {
      if (this.#state === "open") this.#fail(socketError(error, this.#dialer.where, "open"))
    })
    socket.on("close", () => this.#closed(this.#awaiting ? this.#early("lost the connection") : undefined))
    socket.resume()
    this.#events.opened(this)
  }

  #viewed(bytes: Uint8Array): Buffer {
    if (bytes !== this.#viewOf) {
      this.#viewOf = bytes
      this.#view = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    return this.#view as Buffer
  }

  #receive(bytes: Buffer, length: number): void {
    if (this.#state !== "open") return
    const reader = this.#reader
    if (!this.#awaiting) {
      if (!reader.boundless) this.#fail(this.#unasked(length))
      return
    }
    const used = reader.push(bytes, 0, length)
    if (used >= 0) this.#answered(length - used)
    else if (used === broken) this.#fail(reader.fault)
  }

  /** `surplus`: bytes behind the answer; nobody knows how many more will come. */
  #answered(surplus: number): void {
    const reader = this.#reader
    this.#awaiting = false
    const last = surplus > 0 || !reader.persists
    if (last) this.#state = "closing"
    this.#events.answered(this, reader.bytes, reader.wrong ?? (surplus > 0 ? this.#unasked(surplus) : undefined))
    if (last && this.#state === "closing") this.#finish()
  }

  /** For messages without an answer: the kernel has taken it. */
  readonly #sent = (error?: Error | null): void => {
    if (!error && this.#awaiting && this.#state === "open") this.#answered(0)
  }

  /** The other side sends no more. */
  #ended(): void {
    if (this.#state !== "open") return
    if (!this.#awaiting) {
      this.close()
    } else if (this.#reader.end()) {
      this.#answered(0)
    } else this.#fail(this.#early("closed the connection before its answer was complete"))
  }

  /** Ends in good order a connection that has done its work; the owner need not wait for it. */
  #finish(): void {
    const socket = this.#socket as Socket | Throttle
    const end = () => {
      clearTimeout(timer)
      if (socket instanceof Throttle) socket.end(() => socket.destroy())
      else socket.destroySoon()
    }
    const timer = setTimeout(end, lingerMs)
    if (socket.readableEnded) end()
    else socket.once("end", end)
    socket.once("close", () => clearTimeout(timer))
    this.#closed(this.#awaiting ? this.#early("had ended the connection when the message was sent") : undefined)
  }

  #fail(error: LoadError | undefined): void {
    this.#state = "closing"
    cut(this.#socket as Socket | Throttle)
    this.#closed(error)
  }

  #closed(error: LoadError | undefined): void {
    if (this.#state === "over") return
    this.#state = "over"
    this.#events.closed(this, error)
  }

  #early(what: string): LoadError {
    return { kind: "closed early", detail: `${this.#dialer.where} ${what}` }
  }

  #unasked(bytes: number): LoadError {
    return { kind: "protocol", detail: `${this.#dialer.where} sent ${bytes} bytes that nobody asked for` }
  }
}

function cut(socket: Socket | Throttle): void {
  if (socket instanceof Throttle) socket.cut()
  else cutSocket(socket)
}
