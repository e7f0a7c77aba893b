/**
 * Names of files as text and as bytes. File systems of Unix keep bytes, most of them UTF-8; those that are none stand in the
 * text as U+DC80-U+DCFF, one for each byte, so that every name has one text and comes back as it was.
 */

import { utf8Encode } from "../../../base/text.ts"

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Undefined when no bytes read as this text: halves of characters that are no such bytes. */
export function pathBytes(text: string): Uint8Array | undefined {
  if (text.isWellFormed()) return utf8Encode(text)
  const bytes: number[] = []
  for (const character of text) {
    const code = character.codePointAt(0) as number
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00)
    else if (code >= 0xd800 && code <= 0xdfff) return undefined
    else for (const byte of utf8Encode(character)) bytes.push(byte)
  }
  const whole = Uint8Array.from(bytes)
  // Single bytes beside each other that make a character would come back as that character.
  return pathText(whole) === text ? whole : undefined
}

export function pathText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    return escaped(bytes)
  }
}

function escaped(bytes: Uint8Array): string {
  let text = ""
  for (let at = 0; at < bytes.length;) {
    const length = characterLength(bytes, at)
    if (length === 0) text += String.fromCharCode(0xdc00 + (bytes[at] as number))
    else text += decoder.decode(bytes.subarray(at, at + length))
    at += Math.max(1, length)
  }
  return text
}

/** Bytes of the character that begins here, 0 when none does (Unicode 16, table 3-7). */
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number
  if (first < 0x80) return 1
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
  if (first < 0xc2 || first > 0xf4) return 0
  const second = bytes[at + 1] ?? 0
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) return 0
  for (let next = 2; next < length; next++) if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return 0
  return length
}
