/**
 * Heads as bytes. Heads also arrive as JSON from the other end of a tunnel, so nothing is written that would end a line
 * early: one pass over the finished text counts the line ends and finds every other byte that no head may hold.
 */

import { RdvError } from "../base/error.ts"
import { latin1Encode } from "../base/text.ts"
import { textByte } from "./grammar.ts"
import type { RequestHead, ResponseHead } from "./head.ts"

/**
 * Always as HTTP/1.1, whatever was spoken on the other side (RFC 9110 section 2.5): `minor` is the caller's to look at.
 * Throws `protocol` for a part with a control character or one beyond U+00FF. Names and values are otherwise taken as they
 * are: foreign heads come through `readRequestHead` or a reader.
 */
export function requestHeadBytes(head: RequestHead): Uint8Array {
  const text = head.method + " " + head.target + " HTTP/1.1\r\n" + joined(head.headers) + "\r\n"
  return checkedBytes(text, 2 + (head.headers.length >> 1))
}

/** As `requestHeadBytes`. */
export function responseHeadBytes(head: ResponseHead): Uint8Array {
  const text = "HTTP/1.1 " + head.status + " " + head.reason + "\r\n" + joined(head.headers) + "\r\n"
  return checkedBytes(text, 2 + (head.headers.length >> 1))
}

/** The last chunk with its trailers: the end of a chunked body. Throws as `requestHeadBytes` does. */
export function lastChunkBytes(trailers: readonly string[] = []): Uint8Array {
  return checkedBytes("0\r\n" + joined(trailers) + "\r\n", 2 + (trailers.length >> 1))
}

function joined(headers: readonly string[]): string {
  let text = ""
  for (let at = 0; at + 1 < headers.length; at += 2) text += headers[at] + ": " + headers[at + 1] + "\r\n"
  return text
}

/** Free for strings that V8 stores as latin1, as nearly all are. */
const beyondLatin1 = /[\u0100-\uffff]/

/**
 * A CR or LF within a part makes the count exceed the lines that were meant. The bytes are checked and not the text,
 * because a character of a string that was just put together costs three times as much to look at.
 */
function checkedBytes(text: string, lines: number): Uint8Array {
  if (beyondLatin1.test(text)) throw refused()
  const bytes = latin1Encode(text)
  let returns = 0
  let feeds = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if ((byte & 0x60) !== 0 && byte !== 127) continue
    if (byte === 13) returns++
    else if (byte === 10) feeds++
    else if (textByte[byte] !== 1) throw refused()
  }
  if (returns !== lines || feeds !== lines) throw refused()
  return bytes
}

function refused(): RdvError {
  return new RdvError("protocol", "A message head holds a line break, a control character or one beyond latin1")
}
