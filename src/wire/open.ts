/** The payload of OPEN: which service, with what header, and what the opener can receive from the start. */

import { RdvError } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import type { JsonObject } from "../base/json.ts"
import { latin1Decode, utf8Decode, utf8Encode, utf8Write } from "../base/text.ts"
import { readU32 } from "./decode.ts"
import { isServiceName, writeU32 } from "./encode.ts"
import { maxCreditBytes, maxFramePayload, minWindowBytes } from "./limits.ts"

export interface OpenPayload {
  readonly window: number
  readonly service: string
  readonly header: JsonObject
  /** Where the first bytes start in the frame's bytes. */
  readonly firstAt: number
}

/**
 * Writes the payload without first bytes at `at`; returns where it ends. `into` must have room for
 * `openPayloadBound(service, json)` bytes.
 */
export function writeOpenPayload(window: number, service: string, json: string, into: Uint8Array, at: number): number {
  writeU32(window, into, at)
  let end = at + 5
  for (let index = 0; index < service.length; index++) into[end++] = service.charCodeAt(index)
  into[at + 4] = service.length
  const headerLength = utf8Write(json, into, end + 2)
  if (headerLength > 0xffff || end + 2 + headerLength - at > maxFramePayload) {
    throw new RdvError("limit", `The header of a stream has ${headerLength} bytes: over what one frame can carry`)
  }
  into[end] = headerLength >>> 8
  into[end + 1] = headerLength
  return end + 2 + headerLength
}

/** At most so many bytes are written: a UTF-16 unit takes up to 3 bytes of UTF-8. */
export function openPayloadBound(service: string, json: string): number {
  return 7 + service.length + 3 * json.length
}

/** True when OPEN can carry the header in one frame. */
export function fitsOpen(service: string, json: string): boolean {
  if (openPayloadBound(service, json) <= maxFramePayload) return true
  return json.length <= maxFramePayload && 7 + service.length + utf8Encode(json).length <= maxFramePayload
}

/** Throws `protocol` when a length points outside the payload, or a field is not what it must be. */
export function readOpenPayload(bytes: Uint8Array, start: number, end: number): OpenPayload {
  const window = readU32(bytes, start)
  const serviceAt = start + 5
  const serviceEnd = serviceAt + (bytes[start + 4] as number)
  if (serviceEnd + 2 > end) throw new RdvError("protocol", "The service name of an OPEN frame ends outside the frame")
  const headerLength = ((bytes[serviceEnd] as number) << 8) | (bytes[serviceEnd + 1] as number)
  const headerAt = serviceEnd + 2
  if (headerAt + headerLength > end)
    throw new RdvError("protocol", "The header of an OPEN frame ends outside the frame")
  if (window < minWindowBytes || window > maxCreditBytes) {
    throw new RdvError("protocol", `An OPEN frame announces a window of ${window} bytes`)
  }
  const service = latin1Decode(bytes, serviceAt, serviceEnd)
  if (!isServiceName(service)) throw new RdvError("protocol", "An OPEN frame names what is no service name")
  return {
    window,
    service,
    header: headerLength === 0 ? {} : readJsonObject(bytes, headerAt, headerAt + headerLength),
    firstAt: headerAt + headerLength,
  }
}

/** Throws `protocol` when the bytes are not a JSON object. */
export function readJsonObject(bytes: Uint8Array, start: number, end: number): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(utf8Decode(bytes, start, end))
  } catch (error) {
    throw new RdvError("protocol", "A JSON payload does not parse", { cause: error })
  }
  if (!isJsonObject(value)) throw new RdvError("protocol", "A JSON payload is not an object")
  return value
}
