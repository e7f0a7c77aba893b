/**
 * The way from a stream to a socket: writes by reference, and tells when the kernel has taken everything, because only
 * then may credit go back and memory be reused.
 */

import type { Socket } from "node:net"

const nothing = Buffer.alloc(0)

export class SocketOutlet {
  readonly #socket: Socket
  readonly #onTaken: (bytes: number) => void
  #owed = 0
  #waiting = false

  /** `onTaken` hears how many bytes of `write` calls the kernel has taken since the last time. */
  constructor(socket: Socket, onTaken: (bytes: number) => void) {
    this.#socket = socket
    this.#onTaken = onTaken
  }

  /** Bytes written and not yet reported as taken. */
  get owed(): number {
    return this.#owed
  }

  /** Writes; `counted` bytes are reported when it is taken (a head in front of a body is not the stream's). */
  write(bytes: Uint8Array, counted: number): void {
    this.#socket.write(bytes)
    this.settle(counted)
  }

  /** After other writes to the socket: reports `counted` bytes as soon as nothing waits any more. */
  settle(counted: number): void {
    this.#owed += counted
    if (this.#socket.writableLength === 0 || this.#socket.destroyed) {
      this.#report()
    } else if (!this.#waiting) {
      this.#waiting = true
      // An empty write ends behind all others; most writes are taken at once and never come here. Behind the end there is
      // no further write: it would destroy the socket with all that waits in it.
      if (this.#socket.writableEnded) this.#socket.once("finish", this.#look)
      else this.#socket.write(nothing, this.#look)
    }
  }

  readonly #look = (): void => {
    this.#waiting = false
    // What a dead socket did not take, nobody will.
    if (this.#socket.writableLength === 0 || this.#socket.destroyed) this.#report()
    else this.settle(0)
  }

  #report(): void {
    const owed = this.#owed
    if (owed === 0) return
    this.#owed = 0
    this.#onTaken(owed)
  }
}
