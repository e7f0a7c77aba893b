/** Frames as tests write and read them: made by hand, so that a wrong one can be made too. */

import * as zlib from "node:zlib"
import { FrameDecoder } from "../../src/wire/decode.ts"
import { encodeFrame, writeHeader } from "../../src/wire/encode.ts"
import { frameType, headerBytes } from "../../src/wire/frame.ts"
import { writeOpenPayload } from "../../src/wire/open.ts"

/** What a decoder told, with DATA pieces joined: independent of how the bytes were cut. */
export interface FrameEvent {
  readonly type: number
  readonly stream: number
  readonly payload: string
}

export function readFrames(chunks: readonly Uint8Array[], maxPayload?: number): FrameEvent[] {
  const events: FrameEvent[] = []
  let data: Uint8Array[] = []
  const decoder = new FrameDecoder(
    {
      data(stream, bytes, start, end, left, length) {
        data.push(bytes.slice(start, end))
        if (left > 0) return
        const payload = Buffer.concat(data)
        if (payload.length !== length) throw new Error(`a DATA frame of ${length} bytes came as ${payload.length}`)
        data = []
        events.push({ type: frameType.data, stream, payload: payload.toString("hex") })
      },
      frame(type, stream, bytes, start, end) {
        events.push({ type, stream, payload: Buffer.from(bytes.subarray(start, end)).toString("hex") })
      },
    },
    maxPayload,
  )
  for (const chunk of chunks) decoder.push(chunk)
  return events
}

export function frame(type: number, stream: number, payload: Uint8Array | string = ""): Uint8Array {
  return encodeFrame(type, stream, typeof payload === "string" ? Buffer.from(payload) : payload)
}

/** A header that announces what it likes. */
export function header(type: number, length: number, stream: number): Uint8Array {
  const bytes = new Uint8Array(headerBytes)
  writeHeader(type, length, stream, bytes, 0)
  return bytes
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function u64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

export function openFrame(
  stream: number,
  service: string,
  headerJson = "",
  first: Uint8Array = new Uint8Array(0),
  window = 262_144,
): Uint8Array {
  const payload = new Uint8Array(7 + service.length + 3 * headerJson.length)
  const end = writeOpenPayload(window, service, headerJson, payload, 0)
  return frame(frameType.open, stream, Buffer.concat([payload.subarray(0, end), first]))
}

export function resetFrame(stream: number, code: number, reason = ""): Uint8Array {
  return frame(frameType.reset, stream, Buffer.concat([Uint8Array.of(code >> 8, code), Buffer.from(reason)]))
}

export function checkOf(...parts: readonly Uint8Array[]): Uint8Array {
  return frame(frameType.check, 0, u32(zlib.crc32(Buffer.concat(parts))))
}

/** A HELLO and its CHECK. */
export function helloOf(message: unknown): Uint8Array {
  const hello = frame(frameType.hello, 0, typeof message === "string" ? message : JSON.stringify(message))
  return Buffer.concat([hello, checkOf(hello)])
}
