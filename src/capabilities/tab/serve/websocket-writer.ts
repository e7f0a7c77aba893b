/**
 * Frames onto a stream, one after the other, as fast as it takes them. Large messages go in pieces, so that a full stream
 * holds no more than one; control frames go between messages.
 */

import { Fifo } from "../../../base/fifo.ts"
import type { Stream } from "../../../base/stream.ts"
import { utf8Encode } from "../../../base/text.ts"
import { frameHead, opcode } from "./websocket-frames.ts"

const pieceBytes = 64 * 1024

export class FrameWriter {
  readonly #stream: Stream
  readonly #waiting: Fifo<{ readonly head: Uint8Array; readonly payload: Uint8Array }> = new Fifo()
  /** The rest of a payload whose frame has begun; memory of ours. */
  #rest: Uint8Array | undefined
  /** The answer to the newest ping; older ones need none (RFC 6455 section 5.5.3). */
  #pong: Uint8Array | undefined
  #isPingDue = false
  #close: { readonly payload: Uint8Array; readonly sent: () => void } | undefined
  #isFull = false
  #isOver = false

  constructor(stream: Stream) {
    this.#stream = stream
  }

  /** False: wait for what `drain` answers. */
  send(message: string | Uint8Array): boolean {
    const isText = typeof message === "string"
    const payload = isText ? utf8Encode(message) : message
    const head = frameHead(isText ? opcode.text : opcode.binary, payload.length)
    if (this.#isIdle) this.#write(head, payload)
    else this.#waiting.push({ head, payload: isText ? payload : payload.slice() })
    return this.#isIdle
  }

  pong(payload: Uint8Array): void {
    this.#pong = payload
    this.#flush()
  }

  ping(): void {
    this.#isPingDue = true
    this.#flush()
  }

  /** The last frame, behind everything that waits; `sent` follows. */
  close(payload: Uint8Array, sent: () => void): void {
    this.#close ??= { payload, sent }
    this.#flush()
  }

  /** What waits is dropped, but for the rest of a frame: a close must not end up inside it. */
  dropWaiting(): void {
    this.#waiting.clear()
    this.#pong = undefined
  }

  /** The stream has room. True: so has this. */
  drain(): boolean {
    this.#isFull = false
    this.#flush()
    return this.#isIdle
  }

  get #isIdle(): boolean {
    return !this.#isFull && this.#rest === undefined && this.#waiting.length === 0
  }

  #flush(): void {
    while (!this.#isFull && !this.#isOver) {
      if (this.#rest !== undefined) this.#writeRest(this.#rest)
      else if (this.#pong !== undefined) {
        const payload = this.#pong
        this.#pong = undefined
        this.#write(frameHead(opcode.pong, payload.length), payload)
      } else if (this.#isPingDue) {
        this.#isPingDue = false
        this.#isFull = !this.#stream.write(frameHead(opcode.ping, 0))
      } else {
        const next = this.#waiting.shift()
        if (next !== undefined) this.#write(next.head, next.payload)
        else {
          this.#finish()
          return
        }
      }
    }
  }

  #finish(): void {
    const close = this.#close
    if (close === undefined) return
    this.#isOver = true
    this.#write(frameHead(opcode.close, close.payload.length), close.payload)
    close.sent()
  }

  #write(head: Uint8Array, payload: Uint8Array): void {
    if (payload.length <= pieceBytes / 4) {
      const whole = new Uint8Array(head.length + payload.length)
      whole.set(head)
      whole.set(payload, head.length)
      this.#isFull = !this.#stream.write(whole)
      return
    }
    this.#isFull = !this.#stream.write(head)
    this.#writeRest(payload, true)
  }

  #writeRest(bytes: Uint8Array, borrowed = false): void {
    let at = 0
    for (; at < bytes.length && !this.#isFull; at += pieceBytes) {
      this.#isFull = !this.#stream.write(bytes.subarray(at, at + pieceBytes))
    }
    if (at >= bytes.length) this.#rest = undefined
    // The application may use its memory again.
    else this.#rest = borrowed ? bytes.slice(at) : bytes.subarray(at)
  }
}
