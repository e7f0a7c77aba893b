/**
 * The socket of a visitor: when it is read, how long it may stand still, how it ends. What is said on it stands in
 * `visitor.ts`.
 *
 *     open ─▶ leaving (we said our last word) ─▶ over
 */

import type { Socket } from "node:net"
import type { Stream } from "../../base/stream.ts"
import { cutSocket } from "../../sockets/cut.ts"
import { SocketOutlet } from "../../sockets/outlet.ts"
import type { SocketReader } from "../../sockets/socket-reader.ts"
import type { RelayLimits } from "../limits.ts"
import { StallWatch } from "./stall-watch.ts"

/** The ingress, as far as time is concerned. */
export interface ConnectionHost {
  readonly limits: RelayLimits
  /** Coarse clock of deadlines, ms: moves with each sweep. */
  readonly nowMs: number
}

/** Who speaks on the connection. */
export interface ConnectionUser {
  /** Bytes came, also on a connection that is being left. They are the reader's: nothing of them is kept. */
  receive(bytes: Uint8Array): void
  /** The visitor has ended its side. */
  ended(): void
  /** The connection is gone. Not called after `release`. */
  closed(): void
}

export class Connection {
  readonly socket: Socket
  readonly reader: SocketReader
  readonly #host: ConnectionHost
  readonly #user: ConnectionUser
  readonly #stall: StallWatch
  #phase: "open" | "leaving" | "over" = "open"
  /** Of the present exchange: what an earlier one still has in the socket is no credit of this one. */
  #outlet: SocketOutlet | undefined
  /** Past this the connection is answered or cut; Infinity while the other side's pace is not ours to judge. */
  #deadline: number
  /** Bytes behind the present request; bounded by `heldBytes`. */
  #held: Uint8Array | undefined
  #paused = false
  #ended = false

  constructor(host: ConnectionHost, socket: Socket, reader: SocketReader, user: ConnectionUser) {
    this.#host = host
    this.socket = socket
    this.reader = reader
    this.#user = user
    this.#stall = new StallWatch(socket, host.nowMs)
    this.#deadline = host.nowMs + host.limits.headMs
    reader.borrows = true
    reader.receive = (bytes) => {
      user.receive(bytes)
      return false
    }
    socket.on("end", this.#onEnd)
    socket.on("error", this.#onError)
    socket.on("close", this.#onClose)
  }

  /** The visitor has ended its side. */
  get ended(): boolean {
    return this.#ended
  }

  /** Everything we wrote has gone, and the visitor has ended too. */
  get endedWell(): boolean {
    return this.#ended && this.socket.writableFinished
  }

  /** Lets go of the socket: somebody else speaks on it now. */
  release(): void {
    this.#phase = "over"
    this.socket.pause()
    this.socket.removeAllListeners("data")
    this.socket.off("end", this.#onEnd)
    // "error" stays heard: a write that failed just now is told only after this turn.
    this.socket.off("close", this.#onClose)
  }

  // Time.

  /** What begins now may take so long, ms. */
  allow(ms: number): void {
    this.#deadline = this.#host.nowMs + ms
  }

  /** Called at each sweep. True when what the connection is open for took too long: the user has to end or extend it. */
  sweep(nowMs: number, mayRest: boolean): boolean {
    const { socket } = this
    // Who still sends, or speaks a protocol of its own, may read when it likes.
    if (mayRest) this.#stall.restart(nowMs)
    else if (this.#stall.stoodMs(nowMs) >= this.#host.limits.stalledMs) {
      // A reset would wait for an end that is under way.
      if (socket.writableEnded) socket.destroy()
      else cutSocket(socket)
    }
    if (nowMs < this.#deadline) return false
    if (this.#phase === "leaving") {
      // A slow reader still gets what it was promised.
      if (socket.writableLength > 0) this.allow(lingerMs)
      else socket.destroy()
    }
    return this.#phase === "open"
  }

  // Reading.

  get paused(): boolean {
    return this.#paused
  }

  /** Begins to read. */
  start(): void {
    if (!this.#paused && this.#phase !== "over") this.socket.resume()
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.socket.pause()
  }

  /** Reads on, unless too much is held. */
  resume(): void {
    if (!this.#paused || this.#phase === "over") return
    if (this.#held !== undefined && this.#held.length > heldBytes) return
    this.#paused = false
    this.allow(this.#host.limits.bodyMs)
    this.socket.resume()
  }

  /** The next request came before the answer to this one: keeps a copy. */
  hold(bytes: Uint8Array): void {
    this.#held = this.#held === undefined ? new Uint8Array(bytes) : Buffer.concat([this.#held, bytes])
    if (this.#held.length > heldBytes) this.pause()
  }

  /** What was held, once. */
  takeHeld(): Uint8Array | undefined {
    const held = this.#held
    this.#held = undefined
    return held
  }

  // Writing.

  /** What is written from now on with a count are bytes of this stream. */
  answersFor(stream: Stream): void {
    this.#outlet = new SocketOutlet(this.socket, (bytes) => stream.consumed(bytes))
  }

  write(bytes: Uint8Array, counted: number): void {
    this.#outlet?.write(bytes, counted)
    this.#progressed()
  }

  writeAll(parts: readonly Uint8Array[], counted: number): void {
    this.socket.cork()
    for (const part of parts) this.socket.write(part)
    this.socket.uncork()
    this.#outlet?.settle(counted)
    this.#progressed()
  }

  /** Who has ended its side gets the rest as long as it flows: a connection that is gone answers bytes by a reset. */
  #progressed(): void {
    if (this.#ended) this.allow(halfClosedMs)
  }

  /** The visitor reads what it is sent. */
  get keepsUp(): boolean {
    return this.socket.writableLength <= heldBytes
  }

  // Ending.

  /** Says no more; reads on for a moment, so that the answer is not lost to a reset (RFC 9112 section 9.6). */
  leave(): void {
    if (this.#phase === "over") return
    this.#phase = "leaving"
    this.allow(lingerMs)
    this.socket.end()
    this.#held = undefined
    if (this.#paused) {
      this.#paused = false
      this.socket.resume()
    }
  }

  /** An answer ends here that the visitor must not take for complete. */
  breakOff(): void {
    this.#phase = "over"
    const { socket } = this
    const cut = () => cutSocket(socket)
    // What came before the break is the visitor's; a visitor that does not take it waits no longer than this.
    if (socket.writableLength === 0 || socket.writableEnded) cut()
    else {
      socket.write(nothing, cut)
      setTimeout(cut, lingerMs).unref()
    }
  }

  readonly #onEnd = (): void => {
    this.#ended = true
    if (this.#phase === "open") this.#user.ended()
  }

  readonly #onError = (): void => {
    // "close" follows and cleans up; the code tells nothing that the exchange could use.
    this.#ended = true
  }

  readonly #onClose = (): void => {
    this.#phase = "over"
    this.#user.closed()
    this.reader.release()
  }
}

const nothing = Buffer.alloc(0)

/** Pipelined bytes that are kept while an exchange runs, and answers that may wait before the next request is read. */
const heldBytes = 64 * 1024
/** A connection that was told goodbye may still send for so long, ms. */
const lingerMs = 2_000
/** A visitor that ended its side and is sent nothing for so long has left, ms; the coarse clock takes up to 250 off. */
export const halfClosedMs: number = 750
