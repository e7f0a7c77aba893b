/** The character classes of RFC 9110 section 5.6 and RFC 3986 section 3.2, as tables: a class costs one load per byte. */

/** 1 for the bytes of a token (RFC 9110 section 5.6.2). */
export const tokenByte: Uint8Array = table("!#$%&'*+-.^_`|~0123456789" + letters())

/** 1 for HTAB, SP, visible ASCII and obs-text: what may stand in a field value or a reason phrase. */
export const textByte: Uint8Array = new Uint8Array(256).fill(1, 32).fill(1, 9, 10).fill(0, 127, 128)

/**
 * 1 for what may stand in a request target. Wider than RFC 3986, as browsers send `|` and `"` and others raw UTF-8; never
 * white space, control characters, or a fragment.
 */
export const targetByte: Uint8Array = new Uint8Array(256).fill(1, 33).fill(0, 127, 128).fill(0, 35, 36)

const hostByte = table("-._~0123456789" + letters())
const ipv6Byte = table(":.0123456789abcdefABCDEF")

export function isToken(text: string): boolean {
  return text !== "" && allOf(text, tokenByte)
}

const notText = /[^\t\x20-\x7e\x80-\xff]/

/** Whether a text may be a field value or a reason phrase. */
export function isText(text: string): boolean {
  return !notText.test(text)
}

/** Whether every character is of the class; characters above U+00FF are of none. */
export function allOf(text: string, byteClass: Uint8Array): boolean {
  for (let at = 0; at < text.length; at++) if (byteClass[text.charCodeAt(at)] !== 1) return false
  return true
}

/**
 * Whether a text is `host` or `host:port`. Narrower than RFC 3986: no user, no percent-encoding, no sub-delimiters (a
 * comma would make one field look like two), and no empty port. All of these only ever come from tools that probe.
 */
export function isAuthority(text: string): boolean {
  let at = 0
  if (text.charCodeAt(0) === 91) {
    at = text.indexOf("]")
    if (at < 3 || !allOf(text.slice(1, at), ipv6Byte)) return false
    at++
  } else {
    while (hostByte[text.charCodeAt(at)] === 1) at++
    if (at === 0) return false
  }
  return at === text.length || (text.charCodeAt(at) === 58 && isPort(text, at + 1))
}

function isPort(text: string, from: number): boolean {
  let port = 0
  if (from === text.length || text.length - from > 5) return false
  for (let at = from; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= 65535
}

function letters(): string {
  return "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
}

function table(characters: string): Uint8Array {
  const bytes = new Uint8Array(256)
  for (let at = 0; at < characters.length; at++) bytes[characters.charCodeAt(at)] = 1
  return bytes
}
