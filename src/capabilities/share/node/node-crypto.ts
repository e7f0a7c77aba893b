/**
 * Names and seals of chunks by Node: BLAKE3 from a native package where that is installed (it is optional) and in JavaScript
 * elsewhere, SHA-256 and AES-256-GCM from OpenSSL. All of it is done at once: a chunk takes well below a millisecond.
 */

import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hash as digest } from "node:crypto"
import type { Cipheriv, Decipheriv } from "node:crypto"
import { createRequire } from "node:module"
import type * as BlakeHash from "@napi-rs/blake-hash"
import { RdvError } from "../../../base/error.ts"
import type { SwarmKeys } from "../code/swarm-keys.ts"
import { sealBytes } from "../content/chunk-crypto.ts"
import type { ChunkCrypto, ChunkHash, HashName } from "../content/chunk-crypto.ts"
import { portableHash, portableKeyedHash } from "../content/portable-crypto.ts"
import type { KeyedHash } from "../content/portable-crypto.ts"
import { letGo } from "./let-go.ts"

/** True where BLAKE3 runs natively; else SHA-256 is the faster hash. */
export function hasNativeBlake3(): boolean {
  return native !== undefined
}

export function nodeHash(name: HashName): ChunkHash {
  if (name === "sha256") return { name, hash: (bytes) => digest("sha256", bytes, "buffer") }
  if (native === undefined) return portableHash(name)
  return { name, hash: native.blake3 }
}

/** Without a name: the hash that is fastest here. */
export function nodeCrypto(keys: SwarmKeys, hash: HashName = native === undefined ? "sha256" : "blake3"): ChunkCrypto {
  const identify = keyedHash(hash)(keys.identity)
  const sealingKey = keyedHash(hash)(keys.seal)
  const openInto = (sealed: Uint8Array, identity: Uint8Array, into: Uint8Array): void => {
    const length = sealed.length - sealBytes
    if (length < 0 || into.length !== length) throw changed()
    const decipher = createDecipheriv("aes-256-gcm", createSecretKey(sealingKey(identity)), nonce, {
      authTagLength: sealBytes,
    })
    decipher.setAuthTag(sealed.subarray(length))
    inParts(decipher, sealed.subarray(0, length), into)
    try {
      decipher.final()
    } catch (cause) {
      throw changed(cause)
    }
  }
  const sealInto = (plain: Uint8Array, identity: Uint8Array, into: Uint8Array): void => {
    if (into.length !== plain.length + sealBytes) {
      throw new RdvError("internal", `${into.length} bytes were given for sealing ${plain.length}`)
    }
    const cipher = createCipheriv("aes-256-gcm", createSecretKey(sealingKey(identity)), nonce)
    inParts(cipher, plain, into)
    cipher.final()
    into.set(cipher.getAuthTag(), plain.length)
  }
  return {
    ...nodeHash(hash),
    identify,
    seal(plain, identity) {
      // Memory of its own: what is sealed may be kept for long, beside others of the pool.
      const sealed = Buffer.allocUnsafeSlow(plain.length + sealBytes)
      sealInto(plain, identity, sealed)
      return sealed
    },
    sealInto,
    open(sealed, identity) {
      const plain = Buffer.allocUnsafeSlow(Math.max(0, sealed.length - sealBytes))
      openInto(sealed, identity, plain)
      return plain
    },
    openInto,
  }
}

/**
 * Each answer of a cipher is memory of its own. Large ones that are left to the garbage collector cost three times what the
 * cipher does; those that are given back at once make the C library return its last pages to the system and fetch them
 * again for the next one, which costs seven times as much. Small ones that are given back at once cost nothing, and stay in
 * the processor's cache.
 */
function inParts(cipher: Cipheriv | Decipheriv, from: Uint8Array, into: Uint8Array): void {
  for (let at = 0; at < from.length; at += partBytes) {
    const part = cipher.update(from.subarray(at, at + partBytes))
    into.set(part, at)
    letGo(part)
  }
}

const partBytes = 65_536

/** Each key seals one content alone, so that its nonce may be the same. */
const nonce = new Uint8Array(12)

const native = loadNative()

function loadNative(): typeof BlakeHash | undefined {
  try {
    return createRequire(import.meta.url)("@napi-rs/blake-hash") as typeof BlakeHash
  } catch {
    // Not installed, or not made for this machine: the portable one does the same, slower.
    return undefined
  }
}

function keyedHash(name: HashName): KeyedHash {
  if (name === "sha256") return (key) => (bytes) => createHmac("sha256", key).update(bytes).digest()
  if (native === undefined) return portableKeyedHash(name)
  const { Blake3Hasher } = native
  return (key) => {
    const hasher = Blake3Hasher.newKeyed(Buffer.from(key))
    return (bytes) => {
      hasher.reset()
      return hasher.update(bytes).digestBuffer()
    }
  }
}

function changed(cause?: unknown): RdvError {
  return new RdvError("corrupt", "A chunk does not open: it is not what was sealed", { cause })
}
