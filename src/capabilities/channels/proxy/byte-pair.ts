/** Two ends of a link within the process: from a client of ours to a conversation that outlives its upstream. */

import { Fifo } from "../../../base/fifo.ts"
import type { UpstreamLink } from "./upstream.ts"

export function bytePair(): readonly [UpstreamLink, UpstreamLink] {
  const a = new End()
  const b = new End()
  a.join(b)
  b.join(a)
  return [a, b]
}

/** Waiting for the other end; above it, `write` asks to wait. */
const fullBytes = 65_536

class End implements UpstreamLink {
  onData: ((bytes: Uint8Array) => void) | undefined
  onDrain: (() => void) | undefined
  onClose: ((error: Error | undefined) => void) | undefined
  #other: End | undefined
  readonly #arrived: Fifo<Uint8Array> = new Fifo()
  #arrivedBytes = 0
  #isPaused = false
  #isDue = false
  /** The other end waits for room here. */
  #owesDrain = false
  #isClosing = false
  #isClosed = false

  join(other: End): void {
    this.#other = other
  }

  write(bytes: Uint8Array): boolean {
    const other = this.#other as End
    if (this.#isClosing) return true
    other.#arrived.push(bytes.slice())
    other.#arrivedBytes += bytes.length
    other.#owesDrain = other.#arrivedBytes >= fullBytes
    other.#later()
    return !other.#owesDrain
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#later()
  }

  close(): void {
    for (const end of [this, this.#other as End]) {
      end.#isClosing = true
      end.#later()
    }
  }

  abort(): void {
    for (const end of [this, this.#other as End]) {
      end.#arrived.clear()
      end.#arrivedBytes = 0
    }
    this.close()
  }

  #later(): void {
    if (this.#isDue) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      this.#deliver()
    })
  }

  #deliver(): void {
    while (!this.#isPaused && this.#arrived.length > 0) {
      const bytes = this.#arrived.shift() as Uint8Array
      this.#arrivedBytes -= bytes.length
      this.onData?.(bytes)
    }
    if (this.#owesDrain && this.#arrivedBytes < fullBytes) {
      this.#owesDrain = false
      this.#other?.onDrain?.()
    }
    if (!this.#isClosing || this.#isClosed || (this.#arrived.length > 0 && this.#isPaused)) return
    this.#isClosed = true
    this.onClose?.(undefined)
  }
}
