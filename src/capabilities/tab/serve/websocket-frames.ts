/**
 * WebSocket frames at the server's side (RFC 6455 section 5): bytes of a client in, whole messages and control frames out.
 * A stranger wrote the bytes. What is held is one message that is not whole yet, and it grows with what has arrived, not
 * with what a head promises.
 */

import { emptyBytes } from "../../../base/bytes.ts"
import { utf8Encode } from "../../../base/text.ts"

/** Section 11.8. */
export const opcode = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** The connection is over, with this code for the peer (section 7.4.1). */
export class FrameError extends Error {
  readonly code: 1002 | 1007 | 1009
  constructor(code: 1002 | 1007 | 1009, message: string) {
    super(message)
    this.code = code
  }
}

export interface FrameSink {
  /** A whole message; the memory is the receiver's. */
  message(message: string | Uint8Array, bytes: number): void
  ping(payload: Uint8Array): void
  pong(): void
  /** The peer's last frame; `code` is 1005 where it gave none. */
  close(code: number, reason: string): void
}

export class FrameReader {
  readonly #sink: FrameSink
  readonly #limit: number
  /** 2 bytes, 0, 2 or 8 of length, 4 of mask. */
  readonly #head: Uint8Array = new Uint8Array(14)
  #headHas = 0
  #headNeeds = 2
  #code = 0
  #isLast = false
  /** Of the present frame's payload. */
  #left = 0
  #maskAt = 0
  /** What the message in pieces is: 0 is none. */
  #kind: 0 | 1 | 2 = 0
  readonly #message: Gathered = new Gathered()
  readonly #control: Gathered = new Gathered()
  #isClosed = false

  /** `limit`: bytes of a message. */
  constructor(sink: FrameSink, limit: number) {
    this.#sink = sink
    this.#limit = limit
  }

  /** Takes bytes as they come; keeps none of them. Throws `FrameError`, after which it takes no more. */
  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length && !this.#isClosed) {
      if (this.#headHas < this.#headNeeds) at = this.#readHead(bytes, at)
      else at = this.#readPayload(bytes, at)
      // Empty payloads end with their head.
      if (this.#headHas === this.#headNeeds && this.#left === 0) this.#finish()
    }
  }

  #readHead(bytes: Uint8Array, from: number): number {
    const head = this.#head
    let at = from
    while (at < bytes.length && this.#headHas < this.#headNeeds) {
      head[this.#headHas++] = bytes[at++] as number
      if (this.#headHas === 2) this.#checkStart(head[0] as number, head[1] as number)
    }
    if (this.#headHas === this.#headNeeds) this.#beginPayload()
    return at
  }

  #checkStart(first: number, second: number): void {
    const code = first & 15
    const length = second & 127
    this.#code = code
    this.#isLast = first >= 128
    if ((first & 0x70) !== 0) throw this.#wrong("reserved bits are set")
    if (second < 128) throw this.#wrong("a client's frame is not masked")
    if (code >= 8) {
      if (code > 10) throw this.#wrong(`the opcode ${code} is not known`)
      if (!this.#isLast || length > 125) throw this.#wrong("a control frame is too long or in pieces")
    } else if (code > 2) throw this.#wrong(`the opcode ${code} is not known`)
    else if (code === 0 ? this.#kind === 0 : this.#kind !== 0)
      throw this.#wrong("the pieces of a message are in disorder")
    this.#headNeeds = 6 + (length === 126 ? 2 : length === 127 ? 8 : 0)
  }

  #beginPayload(): void {
    const view = new DataView(this.#head.buffer)
    const short = (this.#head[1] as number) & 127
    if (short < 126) this.#left = short
    else if (short === 126) {
      this.#left = view.getUint16(2)
      if (this.#left < 126) throw this.#wrong("a length is not the shortest")
    } else {
      const high = view.getUint32(2)
      this.#left = high * 2 ** 32 + view.getUint32(6)
      if (this.#left < 65_536) throw this.#wrong("a length is not the shortest")
    }
    this.#maskAt = 0
    if (this.#code >= 8) return
    if (this.#message.length + this.#left > this.#limit) {
      this.#isClosed = true
      throw new FrameError(1009, `A message has more than ${this.#limit} bytes`)
    }
    if (this.#code !== 0) this.#kind = this.#code as 1 | 2
  }

  #readPayload(bytes: Uint8Array, from: number): number {
    const take = Math.min(this.#left, bytes.length - from)
    const into = this.#code >= 8 ? this.#control : this.#message
    const target = into.grow(take, this.#left)
    const mask = this.#headNeeds - 4
    unmask(bytes.subarray(from, from + take), target, this.#head.subarray(mask, mask + 4), this.#maskAt)
    this.#maskAt = (this.#maskAt + take) & 3
    this.#left -= take
    return from + take
  }

  #finish(): void {
    this.#headHas = 0
    this.#headNeeds = 2
    const code = this.#code
    if (code >= 8) {
      const payload = this.#control.take()
      if (code === opcode.ping) this.#sink.ping(payload)
      else if (code === opcode.pong) this.#sink.pong()
      else this.#finishClose(payload)
      return
    }
    if (!this.#isLast) return
    const isText = this.#kind === 1
    this.#kind = 0
    const content = this.#message.take()
    this.#sink.message(isText ? this.#text(content) : content, content.length)
  }

  #finishClose(payload: Uint8Array): void {
    if (payload.length === 0) {
      this.#isClosed = true
      this.#sink.close(1005, "")
      return
    }
    const code = ((payload[0] as number) << 8) | (payload[1] ?? 0)
    if (payload.length === 1 || !mayBeSent(code)) throw this.#wrong("a close has a code that nobody may send")
    const reason = this.#text(payload.subarray(2))
    this.#isClosed = true
    this.#sink.close(code, reason)
  }

  #text(bytes: Uint8Array): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      this.#isClosed = true
      throw new FrameError(1007, "A text is not UTF-8")
    }
  }

  #wrong(what: string): FrameError {
    this.#isClosed = true
    return new FrameError(1002, what)
  }
}

/** Codes in close frames (section 7.4, and the registry of it). */
export function mayBeSent(code: number): boolean {
  if (code >= 1000 && code <= 1014) return code !== 1004 && code !== 1005 && code !== 1006
  return code >= 3000 && code <= 4999
}

/** The head of a server's frame: whole, not masked. */
export function frameHead(code: number, length: number): Uint8Array {
  const size = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const head = new Uint8Array(size)
  head[0] = 128 | code
  const view = new DataView(head.buffer)
  if (size === 2) head[1] = length
  else if (size === 4) {
    head[1] = 126
    view.setUint16(2, length)
  } else {
    head[1] = 127
    view.setUint32(2, Math.floor(length / 2 ** 32))
    view.setUint32(6, length >>> 0)
  }
  return head
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string): Uint8Array {
  const text = utf8Encode(reason)
  const payload = new Uint8Array(2 + text.length)
  payload[0] = code >> 8
  payload[1] = code & 255
  payload.set(text, 2)
  return payload
}

/** Bytes that grow. */
class Gathered {
  #bytes: Uint8Array = emptyBytes
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Room for `count` more, of `coming` that are promised. */
  grow(count: number, coming: number): Uint8Array {
    const needed = this.#length + count
    if (needed > this.#bytes.length) {
      // Twice what is there at most, beyond a small start: promises cost nothing.
      const size = Math.max(needed, Math.min(this.#length + coming, Math.max(2 * this.#length, startBytes)))
      const larger = new Uint8Array(size)
      larger.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = larger
    }
    const room = this.#bytes.subarray(this.#length, needed)
    this.#length = needed
    return room
  }

  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length)
    this.#bytes = emptyBytes
    this.#length = 0
    return bytes
  }
}

const startBytes = 4096

function unmask(from: Uint8Array, to: Uint8Array, mask: Uint8Array, start: number): void {
  for (let at = 0; at < from.length; at++) to[at] = (from[at] as number) ^ (mask[(start + at) & 3] as number)
}
