/**
 * HMAC-SHA-256 of datagrams in Node (RFC 2104). Two one-shot hashes with the padded keys in front cost a fifth of
 * `createHmac` for a datagram, which is what counts here: 50,000 of them a second.
 */

import { createHash, hash } from "node:crypto"
import type { Mac } from "../paths/datagram-mac.ts"

const blockBytes = 64
const hashBytes = 32
/** The largest UDP datagram. */
const mostBytes = 65_536

/** One for all keys: it is filled and read in one go. */
const inner = Buffer.alloc(blockBytes + mostBytes)

export function udpMac(key: Uint8Array): Mac {
  const short = key.length > blockBytes ? createHash("sha256").update(key).digest() : key
  const innerPad = Buffer.alloc(blockBytes, 0x36)
  const outer = Buffer.alloc(blockBytes + hashBytes)
  outer.fill(0x5c, 0, blockBytes)
  for (const [at, byte] of short.entries()) {
    innerPad[at] = (innerPad[at] as number) ^ byte
    outer[at] = (outer[at] as number) ^ byte
  }
  return (bytes) => {
    inner.set(innerPad)
    inner.set(bytes, blockBytes)
    outer.set(hash("sha256", inner.subarray(0, blockBytes + bytes.length), "buffer"), blockBytes)
    return hash("sha256", outer, "buffer")
  }
}
