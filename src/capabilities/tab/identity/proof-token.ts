/**
 * What a server shows a relay in place of a token: a proof that is signed anew for each session. A relay whose clock says
 * something else tells its time, and the next proof has that.
 */

import { randomBytes } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import type { IdentityKey } from "./key-pair.ts"
import { makeProof, nonceBytes, relayTimeOf } from "./proof.ts"

export interface ProofTokenOptions {
  readonly pair: IdentityKey
  /** The published application; `any` at a relay that is open to all. */
  readonly app: string
  readonly domain: string
  readonly clock: Clock
}

/** For the `token` of an uplink: makes a token, having heard how the relay refused the last one. */
export function proofTokens(
  options: ProofTokenOptions,
): (refusal?: Error & { readonly code: string }) => Promise<string> {
  const { pair, app, domain, clock } = options
  /** How far the relay is ahead, ms. */
  let ahead = 0
  return async (refusal) => {
    const time = refusal && relayTimeOf(refusal)
    if (time !== undefined) ahead = time - clock.wall()
    const proof = await makeProof({ pair, app, domain, now: clock.wall() + ahead, nonce: randomBytes(nonceBytes) })
    return `guest:tab/${app}:${proof}`
  }
}
