/** What members prove with the keys of a swarm, and how it is checked. */

import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { equalConstantTime } from "../../../base/bytes.ts"
import type { SwarmKeys } from "./swarm-keys.ts"

/** What the relay keeps of `SwarmKeys.access`, 32 bytes. */
export function accessHash(access: Uint8Array): Uint8Array {
  return sha256(access)
}

/** True when this is the access key whose hash the relay keeps. */
export function checkAccess(access: Uint8Array, hash: Uint8Array): boolean {
  return equalConstantTime(accessHash(access), hash)
}

/** `TableFacts.mac`, 32 bytes. */
export function tableMac(keys: Pick<SwarmKeys, "table">, table: Uint8Array): Uint8Array {
  return hmac(sha256, keys.table, table)
}

/** True when somebody with the code published this table. */
export function checkTableMac(keys: Pick<SwarmKeys, "table">, table: Uint8Array, mac: Uint8Array): boolean {
  return equalConstantTime(tableMac(keys, table), mac)
}
