/**
 * The protocol on one screen. `docs/protocol.md` is its normative text.
 *
 *     frame    type u8 | length u24 | stream u32 | payload (length bytes)         big-endian
 *
 *     sequenced: numbered by their bytes, kept until acknowledged, replayed on the next link, applied exactly once
 *       OPEN    stream   window u32 | n u8 | service (n) | m u16 | header (m, JSON) | first bytes
 *       META    stream   JSON object, in line with the data
 *       DATA    stream   bytes
 *       CREDIT  stream   u32: so many more payload bytes may be sent to me on this stream
 *       END     stream   empty: I send nothing more on this stream
 *       RESET   stream   code u16 | reason (UTF-8): both directions end now; on stream 0 the session ends
 *       DRAIN   0        empty: open no new streams towards me, finish what runs
 *     unsequenced: belong to one link, lost with it
 *       HELLO   0        JSON object: the handshake; the first byte of every link is this type
 *       ACK     0        u64: bytes of sequenced frames that I have applied so far
 *       PING    0        u64, answered by PONG with the same payload
 *       PONG    0
 *       DGRAM   stream   a datagram: may be lost, is never replayed late
 *       CHECK   0        u32: CRC-32 of all bytes on this link since the last CHECK
 *
 * DATA, META and the first bytes of OPEN take credit by their payload length.
 */

export const frameType = {
  open: 0x01,
  meta: 0x02,
  data: 0x03,
  credit: 0x04,
  end: 0x05,
  reset: 0x06,
  drain: 0x07,
  hello: 0x10,
  ack: 0x11,
  ping: 0x12,
  pong: 0x13,
  dgram: 0x14,
  check: 0x15,
} as const

export const headerBytes = 8

/** The first protocol version, and the only one so far. */
export const protocolVersion = 1

export function isSequenced(type: number): boolean {
  return type < frameType.hello
}

const names = new Map<number, string>(Object.entries(frameType).map(([name, type]) => [type, name.toUpperCase()]))

/** The name of a type for people; unknown ones in hexadecimal. */
export function frameName(type: number): string {
  return names.get(type) ?? `0x${type.toString(16).padStart(2, "0")}`
}
