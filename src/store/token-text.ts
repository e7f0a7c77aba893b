/**
 * The text of a token: `rdv_`, 43 characters for 256 random bits, 4 characters of checksum. The checksum tells a typo or
 * a token cut in half from an unknown one without a look-up, and lets scanners for leaked secrets be sure.
 */

import { createHash, randomBytes } from "node:crypto"

const prefix = "rdv_"
const shape = /^rdv_[A-Za-z0-9_-]{47}$/
const checkLength = 4

export function mintTokenText(): string {
  const body = prefix + randomBytes(32).toString("base64url")
  return body + checksum(body)
}

/** True for a text that was minted here or elsewhere and copied without a mistake. */
export function isTokenText(text: string): boolean {
  return shape.test(text) && checksum(text.slice(0, -checkLength)) === text.slice(-checkLength)
}

/**
 * What is stored in place of the text. A plain SHA-256 is right here: slow, salted hashes protect guessable secrets, and
 * nobody guesses 256 random bits. It also lets the relay verify thousands of sessions a second.
 */
export function hashTokenText(text: string): Uint8Array {
  return createHash("sha256").update(text).digest()
}

/** Public, and enough to find the row: the first eight hexadecimal digits of the hash. */
export function tokenId(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, 4).toString("hex")
}

/** 24 bits over the text itself, so that the unused bits of the last base64url character count too. */
function checksum(body: string): string {
  return createHash("sha256").update(`check ${body}`).digest().subarray(0, 3).toString("base64url")
}
