/**
 * Packets of a path over datagrams, to the byte (docs/reference/share-paths.md). Big-endian:
 *
 *     kind u8 = 0xB2 | path u32 | number u32 | flags u8 | frames … | tag, 12 bytes
 *
 * `path` is what the receiver called the path in its hello. `number` grows by one with every packet and is never used
 * again: what was lost travels again under a new one. Frames: padding (to the end), ping, ack, control, piece (to the
 * end), close. The reader is strict: a packet with a valid tag that does not read ends the path.
 */

import { RdvError } from "../../../base/error.ts"
import { tagBytes } from "./datagram-mac.ts"
import type { Ranges } from "./datagram-ranges.ts"

export const packetKind = 0xb2
/** Before the frames. */
export const headBytes = 10
/** The receiver acknowledges at once: nothing follows soon. */
export const flagAckNow = 1

const frame = { padding: 0, ping: 1, ack: 2, control: 3, piece: 4, close: 5 } as const

export const controlKinds = { ask: 1, cancel: 2, refuse: 3, stop: 4, end: 5 } as const
export type ControlKind = keyof typeof controlKinds
const kindNames = new Map<number, ControlKind>(
  Object.entries(controlKinds).map(([name, number]) => [number, name as ControlKind]),
)

/** What must arrive, in order. */
export interface Control {
  readonly kind: ControlKind
  /** The reason of a refusal. */
  readonly why: number
  readonly version: number
  /** A chunk; for `stop`, of which the receiver wants nothing more, the number of a transfer. */
  readonly subject: number
}

export const controlBytes = 13
/** Before a piece's bytes. */
export const pieceHeadBytes = 19
/** Ranges in one acknowledgement; what is older was told before. */
export const mostAckRanges = 32

export interface PieceHead {
  /** Each sending of a chunk has a number of its own, from 0. */
  readonly transfer: number
  readonly version: number
  readonly chunk: number
  /** Of the whole chunk. */
  readonly length: number
  readonly offset: number
}

export interface PacketReader {
  ping(): void
  /** From the highest range to the lowest, each `from` up to and without `to`. */
  ack(ranges: readonly (readonly [from: number, to: number])[], delayMs: number): void
  control(sequence: number, control: Control): void
  piece(head: PieceHead, bytes: Uint8Array): void
  close(code: number): void
}

/** Writes one packet into memory that is used again. */
export class PacketWriter {
  readonly #buffer: Uint8Array
  readonly #view: DataView
  #at = 0
  #limit = 0

  /** `largest`: bytes of the largest datagram. */
  constructor(largest: number) {
    this.#buffer = new Uint8Array(largest)
    this.#view = new DataView(this.#buffer.buffer)
  }

  begin(path: number, number: number, datagramBytes: number): void {
    this.#buffer[0] = packetKind
    this.#view.setUint32(1, path)
    this.#view.setUint32(5, number)
    this.#buffer[9] = 0
    this.#at = headBytes
    this.#limit = datagramBytes - tagBytes
  }

  /** Bytes that fit. */
  get room(): number {
    return this.#limit - this.#at
  }

  get buffer(): Uint8Array {
    return this.#buffer
  }

  /** Without the tag. */
  get length(): number {
    return this.#at
  }

  flag(flags: number): void {
    this.#buffer[9] = (this.#buffer[9] as number) | flags
  }

  ping(): void {
    this.#buffer[this.#at++] = frame.ping
  }

  /** To the largest size, for a probe of what the way carries. */
  pad(): void {
    this.#buffer.fill(frame.padding, this.#at, this.#limit)
    this.#at = this.#limit
  }

  ack(ranges: Ranges, delayMs: number): void {
    const count = Math.min(ranges.count, mostAckRanges, Math.floor((this.room - 4) / 8))
    if (count < 1) return
    this.#buffer[this.#at] = frame.ack
    this.#view.setUint16(this.#at + 1, Math.min(65_535, Math.round(delayMs * 20)))
    this.#buffer[this.#at + 3] = count
    this.#at += 4
    for (let at = ranges.count - 1; at >= ranges.count - count; at--, this.#at += 8) {
      this.#view.setUint32(this.#at, ranges.from(at))
      this.#view.setUint32(this.#at + 4, ranges.to(at))
    }
  }

  control(sequence: number, { kind, why, version, subject }: Control): void {
    this.#buffer[this.#at] = frame.control
    this.#view.setUint32(this.#at + 1, sequence)
    this.#buffer[this.#at + 5] = controlKinds[kind]
    this.#buffer[this.#at + 6] = why
    this.#view.setUint16(this.#at + 7, version)
    this.#view.setUint32(this.#at + 9, subject)
    this.#at += controlBytes
  }

  /** Last in its packet. */
  piece({ transfer, version, chunk, length, offset }: PieceHead, bytes: Uint8Array): void {
    this.#buffer[this.#at] = frame.piece
    this.#view.setUint32(this.#at + 1, transfer)
    this.#view.setUint16(this.#at + 5, version)
    this.#view.setUint32(this.#at + 7, chunk)
    this.#view.setUint32(this.#at + 11, length)
    this.#view.setUint32(this.#at + 15, offset)
    this.#buffer.set(bytes, this.#at + pieceHeadBytes)
    this.#at += pieceHeadBytes + bytes.length
  }

  close(code: number): void {
    this.#buffer[this.#at] = frame.close
    this.#view.setUint16(this.#at + 1, code)
    this.#at += 3
  }
}

export interface PacketHead {
  readonly path: number
  readonly number: number
  readonly flags: number
}

/** Undefined when it is no packet. The tag is not looked at. */
export function readHead(datagram: Uint8Array): PacketHead | undefined {
  if (datagram.length < headBytes + tagBytes || datagram[0] !== packetKind) return undefined
  return { path: u32(datagram, 1), number: u32(datagram, 5), flags: datagram[9] as number }
}

/** Reads the frames of a packet whose tag is right. True when it wants to be acknowledged. Throws `protocol`. */
export function readFrames(datagram: Uint8Array, to: PacketReader): boolean {
  const end = datagram.length - tagBytes
  let eliciting = false
  let at = headBytes
  const need = (bytes: number): number => {
    if (at + bytes > end) throw broken("a frame is cut")
    const start = at
    at += bytes
    return start
  }
  while (at < end) {
    const type = datagram[at++] as number
    if (type === frame.padding) return eliciting
    if (type === frame.ack) {
      const start = need(3)
      const count = datagram[start + 2] as number
      if (count === 0 || count > mostAckRanges) throw broken("a wrong number of ranges")
      const ranges: [number, number][] = []
      for (let left = count, above = Infinity; left > 0; left--) {
        const range = need(8)
        const from = u32(datagram, range)
        const below = u32(datagram, range + 4)
        if (from >= below || below >= above) throw broken("ranges in disorder")
        ranges.push([from, below])
        above = from
      }
      to.ack(ranges, u16(datagram, start) / 20)
      continue
    }
    eliciting = true
    if (type === frame.ping) to.ping()
    else if (type === frame.control) {
      const start = need(controlBytes - 1)
      const kind = kindNames.get(datagram[start + 4] as number)
      if (kind === undefined) throw broken("an unknown control")
      const why = datagram[start + 5] as number
      const subject = u32(datagram, start + 8)
      to.control(u32(datagram, start), { kind, why, version: u16(datagram, start + 6), subject })
    } else if (type === frame.piece) {
      const start = need(pieceHeadBytes - 1)
      const head = {
        transfer: u32(datagram, start),
        version: u16(datagram, start + 4),
        chunk: u32(datagram, start + 6),
        length: u32(datagram, start + 10),
        offset: u32(datagram, start + 14),
      }
      const bytes = datagram.subarray(at, end)
      if (head.offset + bytes.length > head.length) throw broken("a piece behind the end of its chunk")
      to.piece(head, bytes)
      return true
    } else if (type === frame.close) {
      to.close(u16(datagram, need(2)))
      return false
    } else throw broken("an unknown frame")
  }
  return eliciting
}

function broken(what: string): RdvError {
  return new RdvError("protocol", `A datagram does not read: ${what}`, { origin: "remote" })
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65_536 + u16(bytes, at + 2)
}
