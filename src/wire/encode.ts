/** Frames to bytes. Writers put a frame at a place in a larger array, because frames are coalesced before they are sent. */

import { RdvError } from "../base/error.ts"
import { utf8Encode } from "../base/text.ts"
import { frameType, headerBytes } from "./frame.ts"
import { maxReasonBytes, maxServiceBytes } from "./limits.ts"

export function writeU32(value: number, into: Uint8Array, at: number): void {
  into[at] = value >>> 24
  into[at + 1] = value >>> 16
  into[at + 2] = value >>> 8
  into[at + 3] = value
}

export function writeU64(value: number, into: Uint8Array, at: number): void {
  writeU32(Math.floor(value / 2 ** 32), into, at)
  writeU32(value >>> 0, into, at + 4)
}

export function writeHeader(type: number, length: number, stream: number, into: Uint8Array, at: number): void {
  into[at] = type
  into[at + 1] = length >>> 16
  into[at + 2] = length >>> 8
  into[at + 3] = length
  writeU32(stream, into, at + 4)
}

/** A whole frame in an array of its own. */
export function encodeFrame(type: number, stream: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(headerBytes + payload.length)
  writeHeader(type, payload.length, stream, frame, 0)
  frame.set(payload, headerBytes)
  return frame
}

/** Of ACK, PING and PONG. */
export const u64FrameBytes: number = headerBytes + 8
export const checkBytes: number = headerBytes + 4

/** ACK, PING and PONG. */
export function encodeU64Frame(type: number, value: number): Uint8Array {
  const frame = new Uint8Array(u64FrameBytes)
  writeU64Frame(type, value, frame, 0)
  return frame
}

export function writeU64Frame(type: number, value: number, into: Uint8Array, at: number): void {
  writeHeader(type, 8, 0, into, at)
  writeU64(value, into, at + headerBytes)
}

export function encodeCheck(crc: number): Uint8Array {
  const frame = new Uint8Array(checkBytes)
  writeCheck(crc, frame, 0)
  return frame
}

export function writeCheck(crc: number, into: Uint8Array, at: number): void {
  writeHeader(frameType.check, 4, 0, into, at)
  writeU32(crc, into, at + headerBytes)
}

/** The payload of RESET: the reason is cut to its limit at a character's boundary. */
export function resetPayload(code: number, reason: string): Uint8Array {
  let text = utf8Encode(reason)
  if (text.length > maxReasonBytes) {
    let end = maxReasonBytes
    while (end > 0 && ((text[end] as number) & 0xc0) === 0x80) end--
    text = text.subarray(0, end)
  }
  const payload = new Uint8Array(2 + text.length)
  payload[0] = code >>> 8
  payload[1] = code
  payload.set(text, 2)
  return payload
}

export function isServiceName(service: string): boolean {
  return service.length <= maxServiceBytes && /^[a-z0-9][a-z0-9._/-]*$/.test(service)
}

/** Throws `usage` for a name that OPEN cannot carry. */
export function checkServiceName(service: string): void {
  if (!isServiceName(service)) {
    throw new RdvError("usage", `"${service}" is not a service name`, {
      mend: `use 1 to ${maxServiceBytes} of a-z, 0-9, ".", "_", "-", "/", beginning with a letter or digit`,
    })
  }
}
