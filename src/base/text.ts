/**
 * Text to bytes and back, with Node's native paths where they exist. Latin-1 is what HTTP heads are made of
 * (RFC 9110 section 5.5: octets beyond ASCII are opaque); `TextDecoder("latin1")` means windows-1252 and would change them.
 */

interface NativeBuffer {
  from(text: string, encoding: "latin1" | "utf8"): Uint8Array
  readonly prototype: {
    latin1Slice(this: Uint8Array, start: number, end: number): string
    utf8Slice(this: Uint8Array, start: number, end: number): string
    utf8Write(this: Uint8Array, text: string, offset: number, length: number): number
    latin1Write(this: Uint8Array, text: string, offset: number, length: number): number
  }
}

const native = (globalThis as { Buffer?: NativeBuffer }).Buffer
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Each byte becomes the character with its number. */
export function latin1Decode(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  if (native !== undefined) return native.prototype.latin1Slice.call(bytes, start, end)
  let text = ""
  for (let at = start; at < end; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 4096)))
  }
  return text
}

/** Each character becomes the byte with its number; characters above U+00FF keep their low byte. */
export function latin1Encode(text: string): Uint8Array {
  if (native !== undefined) return native.from(text, "latin1")
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}

export function utf8Decode(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  if (native !== undefined) return native.prototype.utf8Slice.call(bytes, start, end)
  return decoder.decode(bytes.subarray(start, end))
}

export function utf8Encode(text: string): Uint8Array {
  if (native !== undefined) return native.from(text, "utf8")
  return encoder.encode(text)
}

/** Writes into `into` from `offset`; returns the bytes written. The caller leaves room for 3 bytes a character. */
export function utf8Write(text: string, into: Uint8Array, offset: number): number {
  if (native !== undefined) return native.prototype.utf8Write.call(into, text, offset, into.length - offset)
  return encoder.encodeInto(text, into.subarray(offset)).written
}
