/** Keys of a swarm by Node's scrypt: half the time, on a thread of its own. */

import { scrypt } from "node:crypto"
import type { Code } from "../code/code.ts"
import { deriveKeys } from "../code/derive-keys.ts"
import type { ScryptCost } from "../code/derive-keys.ts"
import type { SwarmKeys } from "../code/swarm-keys.ts"

export function nodeKeys(code: Code, password?: string): Promise<SwarmKeys> {
  return deriveKeys(code, password, nodeScrypt)
}

function nodeScrypt(secret: Uint8Array, salt: Uint8Array, cost: ScryptCost): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    // It takes 128·N·r bytes; OpenSSL wants some more room.
    const maxmem = 2 * 128 * cost.N * cost.r
    scrypt(secret, salt, 32, { ...cost, maxmem }, (error, key) => (error === null ? resolve(key) : reject(error)))
  })
}
