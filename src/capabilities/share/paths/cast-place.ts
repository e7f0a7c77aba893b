/** Where a swarm's cast is heard, and its keys. */

import type { CastPlace } from "./chunk-cast.ts"
import { deriveKey } from "./datagram-mac.ts"
import type { Mac, MacFor } from "./datagram-mac.ts"
import type { DatagramAddress } from "./datagram-socket.ts"

/** Below the ports that systems give away (from 32,768), so that nobody else has it by chance. */
const firstPort = 21_000
const ports = 8_000

/**
 * A group that stays within a site (239.255.0.0/16, RFC 2365 section 6.1), and a port. Swarms that share both disturb each
 * other no more than by their noise: nobody takes what is not under the own key.
 */
export function castGroup({ swarm }: CastPlace): DatagramAddress {
  const number = Number(swarm)
  return { address: `239.255.${(number >> 8) & 255}.${number & 255}`, port: firstPort + (number % ports) }
}

export function beaconMac(macFor: MacFor, { key }: CastPlace): Mac {
  return macFor(deriveKey(macFor, key, "cast beacon"))
}

/** Of one session of a sender: what it sends and what it is told. */
export function sessionMacs(macFor: MacFor, { key }: CastPlace, nonce: Uint8Array): { down: Mac; up: Mac } {
  return {
    down: macFor(deriveKey(macFor, key, "cast down", nonce)),
    up: macFor(deriveKey(macFor, key, "cast up", nonce)),
  }
}
