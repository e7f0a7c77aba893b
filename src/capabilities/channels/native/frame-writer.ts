/**
 * Frames on their way to a stream: gathered, and written when the present round of input is through, so that a hundred
 * messages are one write. The memory is borrowed from the outlet and given back with the write.
 */

import { utf8Encode } from "../../../base/text.ts"
import type { Stream } from "../../../base/stream.ts"
import { frameHeaderBytes } from "./protocol.ts"

/** All writers of one service or client: they flush together. */
export class Outlet {
  #dirty: FrameWriter[] = []
  readonly #spares: Uint8Array[] = []
  readonly #defer: (flush: () => void) => void
  readonly #flush = (): void => {
    const dirty = this.#dirty
    this.#dirty = []
    // What a flush makes dirty again is flushed by the next round.
    for (const writer of dirty) writer.flush()
  }

  /** `defer` runs a callback behind the present round of input. */
  constructor(defer: (flush: () => void) => void = queueMicrotask) {
    this.#defer = defer
  }

  schedule(writer: FrameWriter): void {
    if (this.#dirty.length === 0) this.#defer(this.#flush)
    this.#dirty.push(writer)
  }

  take(): Uint8Array {
    return this.#spares.pop() ?? new Uint8Array(gatherBytes)
  }

  give(memory: Uint8Array): void {
    if (this.#spares.length < spareCount) this.#spares.push(memory)
  }
}

export interface FrameSource {
  /** Before a write: adds what was put off until now. */
  gather(): void
}

export class FrameWriter {
  readonly #outlet: Outlet
  readonly #stream: Stream
  readonly #source: FrameSource | undefined
  #memory: Uint8Array | undefined
  #at = 0
  #isDirty = false
  #isOver = false
  /** The stream has enough until its sink hears `drain`. */
  full = false
  /** Of what came in meanwhile: no credit is given for it yet. */
  #unpaid = 0

  constructor(outlet: Outlet, stream: Stream, source?: FrameSource) {
    this.#outlet = outlet
    this.#stream = stream
    this.#source = source
  }

  /** A flush comes; the source is asked before it. */
  touch(): void {
    if (this.#isDirty || this.#isOver) return
    this.#isDirty = true
    this.#outlet.schedule(this)
  }

  /**
   * Bytes that came in were dealt with. Whoever does not take the answers gets no credit for further questions: what waits
   * for him stays within his window.
   */
  consumed(bytes: number): void {
    if (this.full) this.#unpaid += bytes
    else this.#stream.consumed(bytes)
  }

  /** The stream has room again. */
  drained(): void {
    this.full = false
    const unpaid = this.#unpaid
    this.#unpaid = 0
    if (unpaid > 0) this.#stream.consumed(unpaid)
  }

  /** The stream is over: forgets what waits. */
  stop(): void {
    this.#isOver = true
    if (this.#memory !== undefined) this.#outlet.give(this.#memory)
    this.#memory = undefined
  }

  /** Begins a frame; `bodyBytes` follow by the calls below. */
  begin(kind: number, bodyBytes: number): void {
    const room = frameHeaderBytes + Math.min(bodyBytes, inlineBytes)
    if (this.#memory !== undefined && this.#at + room > gatherBytes) this.#write()
    const memory = (this.#memory ??= this.#outlet.take())
    let at = this.#at
    const length = bodyBytes + 1
    memory[at++] = length >>> 24
    memory[at++] = length >>> 16
    memory[at++] = length >>> 8
    memory[at++] = length
    memory[at++] = kind
    this.#at = at
    this.touch()
  }

  u8(value: number): void {
    ;(this.#memory as Uint8Array)[this.#at++] = value
  }

  u16(value: number): void {
    const memory = this.#memory as Uint8Array
    memory[this.#at++] = value >>> 8
    memory[this.#at++] = value
  }

  u32(value: number): void {
    const memory = this.#memory as Uint8Array
    memory[this.#at++] = value >>> 24
    memory[this.#at++] = value >>> 16
    memory[this.#at++] = value >>> 8
    memory[this.#at++] = value
  }

  u64(value: number): void {
    this.u32(Math.floor(value / 2 ** 32))
    this.u32(value)
  }

  /** The last part of a body. Copied, or written at once. */
  bytes(bytes: Uint8Array): void {
    if (bytes.length > inlineBytes - fieldBytes) {
      this.#write()
      if (!this.#isOver && !this.#stream.write(bytes)) this.full = true
      return
    }
    ;(this.#memory as Uint8Array).set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** Number, code, reason. */
  verdict(kind: number, number: number, code: number, reason: string): void {
    const text = utf8Encode(reason.slice(0, maxReason))
    this.begin(kind, 10 + text.length)
    this.u64(number)
    this.u16(code)
    this.bytes(text)
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.#isOver) return
    this.#source?.gather()
    // What is begun from here on, from within the write, waits for a flush of its own.
    this.#isDirty = false
    this.#write()
  }

  #write(): void {
    const memory = this.#memory
    if (memory === undefined || this.#isOver) return
    const end = this.#at
    this.#memory = undefined
    this.#at = 0
    if (end > 0 && !this.#stream.write(memory.subarray(0, end))) this.full = true
    this.#outlet.give(memory)
  }
}

/** Written at once when it is reached: what one frame of a session carries. */
const gatherBytes = 65_536
/** Larger bodies are not copied. */
const inlineBytes = 32_768
/** Numbers in front of a message, at most. */
const fieldBytes = 64
/** Characters; UTF-8 makes at most three times as many bytes of them. */
const maxReason = 300
const spareCount = 8
