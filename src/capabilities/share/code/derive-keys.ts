/** From the secret of a code to the keys of its swarm: scrypt against guessing, then HKDF with a label for each use. */

import { hkdf } from "@noble/hashes/hkdf.js"
import { scryptAsync } from "@noble/hashes/scrypt.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { concat } from "../../../base/bytes.ts"
import { utf8Encode } from "../../../base/text.ts"
import type { Code } from "./code.ts"
import type { SwarmKeys } from "./swarm-keys.ts"

/** 32 MiB and about 0.1 s a guess. */
const cost = { N: 2 ** 15, r: 8, p: 1, dkLen: 32 } as const

/** Gives other work its turn every few milliseconds, so that a page stays alive. The same password however it was typed (NFKC). */
export async function deriveKeys(code: Code, password = ""): Promise<SwarmKeys> {
  const secret = concat([code.secret, utf8Encode(password.normalize("NFKC"))])
  const root = await scryptAsync(secret, utf8Encode(`rdv/share/1 ${code.swarm}`), cost)
  const key = (use: string): Uint8Array => hkdf(sha256, root, undefined, utf8Encode(`rdv/share/1 ${use}`), 32)
  return {
    access: key("access"),
    identity: key("identity"),
    seal: key("seal"),
    table: key("table"),
    peer: key("peer"),
  }
}
