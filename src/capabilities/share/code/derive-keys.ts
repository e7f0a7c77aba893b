/** From the secret of a code to the keys of its swarm: scrypt against guessing, then HKDF with a label for each use. */

import { hkdf } from "@noble/hashes/hkdf.js"
import { scryptAsync } from "@noble/hashes/scrypt.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { concat } from "../../../base/bytes.ts"
import { utf8Encode } from "../../../base/text.ts"
import type { Code } from "./code.ts"
import type { SwarmKeys } from "./swarm-keys.ts"

/** RFC 7914. 32 bytes. */
export type Scrypt = (secret: Uint8Array, salt: Uint8Array, cost: ScryptCost) => Promise<Uint8Array>

export interface ScryptCost {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** 32 MiB and about 0.1 s a guess. */
const cost: ScryptCost = { N: 2 ** 15, r: 8, p: 1 }

/**
 * The same password however it was typed (NFKC). Without a `scrypt` of the platform, one in JavaScript, which gives other work its
 * turn every few milliseconds, so that a page stays alive.
 */
export async function deriveKeys(code: Code, password = "", scrypt: Scrypt = portableScrypt): Promise<SwarmKeys> {
  const secret = concat([code.secret, utf8Encode(password.normalize("NFKC"))])
  const root = await scrypt(secret, utf8Encode(`rdv/share/1 ${code.swarm}`), cost)
  const key = (use: string): Uint8Array => hkdf(sha256, root, undefined, utf8Encode(`rdv/share/1 ${use}`), 32)
  return {
    access: key("access"),
    identity: key("identity"),
    seal: key("seal"),
    table: key("table"),
    peer: key("peer"),
  }
}

function portableScrypt(secret: Uint8Array, salt: Uint8Array, { N, r, p }: ScryptCost): Promise<Uint8Array> {
  return scryptAsync(secret, salt, { N, r, p, dkLen: 32 })
}
