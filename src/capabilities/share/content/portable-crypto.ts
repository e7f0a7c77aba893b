/**
 * Names and seals of chunks where Node's own functions are not at hand: in a page. Hashes in JavaScript, AES by Web Crypto,
 * which exists in secure contexts alone. It agrees with `node/node-crypto.ts` to the byte.
 */

import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { RdvError } from "../../../base/error.ts"
import type { SwarmKeys } from "../code/swarm-keys.ts"
import { Blake3 } from "./blake3.ts"
import { sealBytes } from "./chunk-crypto.ts"
import type { ChunkCrypto, ChunkHash, HashName } from "./chunk-crypto.ts"

/** Of a key of 32 bytes: hashes under it. */
export type KeyedHash = (key: Uint8Array) => (bytes: Uint8Array) => Uint8Array

export function portableHash(name: HashName): ChunkHash {
  if (name === "sha256") return { name, hash: (bytes) => sha256(bytes) }
  const blake3 = new Blake3()
  return { name, hash: (bytes) => blake3.hash(bytes) }
}

/** BLAKE3 has a mode for keys; SHA-256 gets one by HMAC. */
export function portableKeyedHash(name: HashName): KeyedHash {
  if (name === "sha256") return (key) => (bytes) => hmac(sha256, key, bytes)
  return (key) => {
    const blake3 = new Blake3(key)
    return (bytes) => blake3.hash(bytes)
  }
}

/** `seal` and `open` throw `usage` where there is no Web Crypto. */
export function portableCrypto(keys: SwarmKeys, hash: HashName): ChunkCrypto {
  const identify = portableKeyedHash(hash)(keys.identity)
  const sealingKey = portableKeyedHash(hash)(keys.seal)
  return {
    ...portableHash(hash),
    identify,
    async seal(plain, identity) {
      const key = await importKey(sealingKey(identity))
      return new Uint8Array(await crypto.subtle.encrypt(algorithm, key, plain as Uint8Array<ArrayBuffer>))
    },
    async open(sealed, identity) {
      if (sealed.length < sealBytes) throw changed()
      const key = await importKey(sealingKey(identity))
      try {
        return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, sealed as Uint8Array<ArrayBuffer>))
      } catch (cause) {
        throw changed(cause)
      }
    },
  }
}

/** Each key seals one content alone, so that its nonce may be the same. */
const algorithm = { name: "AES-GCM", iv: new Uint8Array(12) } as const

async function importKey(key: Uint8Array) {
  if ((crypto as { subtle?: unknown }).subtle === undefined) {
    throw new RdvError("usage", "This page came without TLS, and browsers encrypt nothing there", {
      mend: "open the link with https://, or use rdv get",
    })
  }
  return crypto.subtle.importKey("raw", key as Uint8Array<ArrayBuffer>, "AES-GCM", false, ["encrypt", "decrypt"])
}

function changed(cause?: unknown): RdvError {
  return new RdvError("corrupt", "A chunk does not open: it is not what was sealed", { cause })
}
