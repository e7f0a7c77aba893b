/** Either side of a WebSocket over a port. Messages leave while there is credit, which comes back as the other side reads. */

import type { Credit, SocketClose, SocketMessage } from "./messages.ts"
import { messageBytes, messageCost, windowBytes } from "./messages.ts"

export interface PortSocketOptions {
  readonly id: number
  readonly post: (message: SocketMessage | SocketClose | Credit) => void
  /** In order. Whoever has read it calls `taken` with its size. */
  readonly onMessage: (data: string | Uint8Array, size: number) => void
  /** Nothing waits any more. */
  readonly onRoom: () => void
  /** Once: the other side's close, ours, or a cut (1006). */
  readonly onClose: (code: number, reason: string) => void
}

export class PortSocket {
  readonly #options: PortSocketOptions
  readonly #waiting: (string | Uint8Array)[] = []
  #waitingBytes = 0
  #credit = windowBytes
  /** Received, and not taken yet. */
  #unread = 0
  #taken = 0
  #closing: { readonly code: number; readonly reason: string } | undefined
  #isClosed = false

  constructor(options: PortSocketOptions) {
    this.#options = options
  }

  /** What `send` took and no credit was there for. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get isClosed(): boolean {
    return this.#isClosed || this.#closing !== undefined
  }

  /** False: it waits here for credit, and `onRoom` follows. The bytes are no longer the caller's. */
  send(data: string | Uint8Array): boolean {
    if (this.isClosed) return true
    this.#waiting.push(data)
    this.#waitingBytes += sizeOf(data)
    this.#flush()
    return this.#waiting.length === 0
  }

  /** Behind what was sent before. */
  close(code: number, reason: string): void {
    if (this.isClosed) return
    this.#closing = { code, reason }
    this.#flush()
  }

  // ---- What came over the port

  credit(bytes: number): void {
    const wasFull = this.#waiting.length > 0
    this.#credit += bytes
    this.#flush()
    if (wasFull && this.#waiting.length === 0 && !this.isClosed) this.#options.onRoom()
  }

  message(data: string | Uint8Array): void {
    if (this.#isClosed) return
    const size = sizeOf(data)
    this.#unread += size
    if (this.#unread > windowBytes + messageBytes) this.close(1008, "More came than there was credit for")
    else this.#options.onMessage(data, size)
  }

  taken(size: number): void {
    this.#unread -= size
    this.#taken += size
    if (this.#isClosed || this.#taken < windowBytes / 4) return
    this.#options.post({ kind: "credit", id: this.#options.id, bytes: this.#taken })
    this.#taken = 0
  }

  /** The other side has closed, or is gone. */
  over(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#waiting.length = 0
    this.#waitingBytes = 0
    this.#options.onClose(code, reason)
  }

  #flush(): void {
    const { id, post } = this.#options
    while (this.#waiting.length > 0 && this.#credit > 0) {
      const data = this.#waiting.shift() as string | Uint8Array
      const size = sizeOf(data)
      this.#credit -= size
      this.#waitingBytes -= size
      post({ kind: "message", id, data })
    }
    if (this.#waiting.length > 0 || this.#closing === undefined || this.#isClosed) return
    post({ kind: "close", id, ...this.#closing })
    this.over(this.#closing.code, this.#closing.reason)
  }
}

/** UTF-16 units count as bytes: it is a bound, and both sides count alike. */
function sizeOf(data: string | Uint8Array): number {
  return messageCost + (typeof data === "string" ? data.length : data.byteLength)
}
