/** Writes DER (ITU-T X.690), as much of it as a certificate needs. */

/** A value with its tag and length. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(contents)
  const { length } = body
  if (length < 0x80) return Buffer.concat([Uint8Array.of(tag, length), body])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.concat([Uint8Array.of(tag, 0x80 | bytes.length, ...bytes), body])
}

export function sequence(...items: readonly Uint8Array[]): Uint8Array {
  return der(0x30, ...items)
}

export function set(...items: readonly Uint8Array[]): Uint8Array {
  return der(0x31, ...items)
}

/** `[number] EXPLICIT`, or the constructed form of an implicit one. */
export function tagged(number: number, ...items: readonly Uint8Array[]): Uint8Array {
  return der(0xa0 | number, ...items)
}

/** A non-negative number, big-endian. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const digits = bytes.subarray(start)
  // The first bit is the sign.
  return (digits[0] ?? 0) >= 0x80 ? der(0x02, Uint8Array.of(0), digits) : der(0x02, digits)
}

export function boolean(value: boolean): Uint8Array {
  return der(0x01, Uint8Array.of(value ? 0xff : 0))
}

/** `1.2.840.10045.4.3.2`. */
export function objectId(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left % 128) | 0x80)
    bytes.push(...groups)
  }
  return der(0x06, Uint8Array.from(bytes))
}

export function utf8String(text: string): Uint8Array {
  return der(0x0c, Buffer.from(text, "utf8"))
}

export function octetString(bytes: Uint8Array): Uint8Array {
  return der(0x04, bytes)
}

/** Whole bytes, or the bits up to `unusedBits` of the last one. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Uint8Array {
  return der(0x03, Uint8Array.of(unusedBits), bytes)
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5). */
export function time(at: Date): Uint8Array {
  const digits = `${at.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}
