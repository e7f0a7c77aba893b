/** Keys of a swarm without the time that deriving them takes. */

import type { SwarmKeys } from "../../src/capabilities/share/code/swarm-keys.ts"

/** Others for each number, 0 to 40. */
export function someKeys(number: number): SwarmKeys {
  const key = (use: number): Uint8Array => new Uint8Array(32).fill(6 * number + use)
  return { access: key(1), identity: key(2), seal: key(3), table: key(4), peer: key(5) }
}
