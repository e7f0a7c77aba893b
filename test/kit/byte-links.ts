/** Byte links for conversations of 9P: a pair in memory, and one over a socket. */

import type { Socket } from "node:net"
import type { ByteLink } from "../../src/ninep/byte-link.ts"

export interface BytePairOptions {
  /** Delivers pieces of at most this size. Default: as they were written. */
  readonly splitBytes?: number
  /** `write` answers false from so many undelivered bytes on. Default 64 KiB. */
  readonly bufferBytes?: number
}

export interface BytePair {
  readonly a: BytePairEnd
  readonly b: BytePairEnd
  /** Both ends hear `onClose` with this error. */
  cut(error?: Error): void
}

/** Two ends of a link; bytes arrive in a later microtask, and are overwritten after `onData`, as the contract allows. */
export function bytePair(options: BytePairOptions = {}): BytePair {
  const a = new BytePairEnd(options)
  const b = new BytePairEnd(options)
  a.join(b)
  b.join(a)
  return {
    a,
    b,
    cut(error = new Error("The link was cut")) {
      a.end(error)
      b.end(error)
    },
  }
}

export class BytePairEnd implements ByteLink {
  onData: ((bytes: Uint8Array) => void) | undefined
  onDrain: (() => void) | undefined
  onClose: ((error: Error | undefined) => void) | undefined
  /** `write` calls that this end has seen. */
  writes = 0
  readonly #options: BytePairOptions
  #other: BytePairEnd | undefined
  readonly #incoming: Uint8Array[] = []
  #incomingBytes = 0
  #paused = false
  #full = false
  #closing = false
  #over = false

  constructor(options: BytePairOptions) {
    this.#options = options
  }

  join(other: BytePairEnd): void {
    this.#other = other
  }

  write(bytes: Uint8Array): boolean {
    const other = this.#other
    if (this.#over || this.#closing || other === undefined) return true
    if (this.#full) throw new Error("Written before onDrain")
    this.writes++
    other.#incoming.push(Uint8Array.from(bytes))
    other.#incomingBytes += bytes.length
    queueMicrotask(() => other.#deliver())
    this.#full = other.#incomingBytes >= (this.#options.bufferBytes ?? 65536)
    return !this.#full
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    queueMicrotask(() => this.#deliver())
  }

  close(): void {
    this.#closing = true
    const other = this.#other
    queueMicrotask(() => {
      this.end(undefined)
      if (other !== undefined && other.#incoming.length === 0) other.end(undefined)
    })
  }

  end(error: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    queueMicrotask(() => this.onClose?.(error))
  }

  #deliver(): void {
    const split = this.#options.splitBytes ?? Infinity
    while (!this.#over && !this.#paused) {
      const first = this.#incoming.shift()
      if (first === undefined) break
      const piece = first.subarray(0, split)
      if (piece.length < first.length) this.#incoming.unshift(first.subarray(piece.length))
      this.#incomingBytes -= piece.length
      const lent = Uint8Array.from(piece)
      this.onData?.(lent)
      lent.fill(0xee)
    }
    const other = this.#other
    if (this.#incoming.length > 0 || other === undefined) return
    if (other.#full) {
      other.#full = false
      other.onDrain?.()
    }
    if (other.#over) this.end(undefined)
  }
}

/** A socket as a byte link. It takes the socket over. */
export function socketBytes(socket: Socket): ByteLink {
  let failure: Error | undefined
  socket.setNoDelay(true)
  const link: ByteLink = {
    onData: undefined,
    onDrain: undefined,
    onClose: undefined,
    write(bytes) {
      if (socket.destroyed || socket.writableEnded) return true
      socket.write(bytes)
      if (socket.writableLength === 0) return true
      // An empty write ends behind all others.
      socket.write("", () => link.onDrain?.())
      return false
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => socket.destroySoon(),
  }
  socket.on("data", (bytes) => link.onData?.(bytes))
  socket.on("error", (error) => (failure = error))
  socket.on("close", () => link.onClose?.(failure))
  return link
}
