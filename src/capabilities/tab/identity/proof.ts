/**
 * How a server proves to a relay that a key is its own, without a question first: it signs where it goes, for what, when,
 * and a number that it uses once. The relay remembers those numbers for as long as the time would be good, so that nobody
 * who has seen a proof comes in with it.
 *
 *     proof   public key (32) | time ms, u64 (8) | nonce (16) | signature (64), as base64url: 160 characters
 *     signed  "rdv tab 1\0" domain "\0" app "\0" time nonce
 */

import { base64url, concat, fromBase64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { utf8Encode } from "../../../base/text.ts"
import { publicKeyBytes, signAs, signatureBytes, signedBytes } from "./key-pair.ts"
import type { IdentityKey } from "./key-pair.ts"

export interface ProofWanted {
  readonly pair: IdentityKey
  /** The published application, or `any`. */
  readonly app: string
  /** The relay's: names are below it. */
  readonly domain: string
  /** Milliseconds since 1970 UTC, as the relay's clock has it. */
  readonly now: number
  /** 16 random bytes, never used before. */
  readonly nonce: Uint8Array
}

/** Rejects `usage` for a nonce or time that no proof can have. */
export async function makeProof({ pair, app, domain, now, nonce }: ProofWanted): Promise<string> {
  const key = fromBase64url(pair.key)
  if (key?.length !== publicKeyBytes) throw new RdvError("usage", "The key of a proof is no Ed25519 key")
  if (nonce.length !== nonceBytes) throw new RdvError("usage", `The nonce of a proof has ${nonceBytes} bytes`)
  const time = timeText(now)
  const signature = await signAs(pair, "proof", proven({ app, domain, time, nonce }))
  return base64url(concat([key, time, nonce, signature]))
}

export interface Proof {
  /** The public key, base64url. */
  readonly key: string
  readonly time: number
  /** base64url. */
  readonly nonce: string
}

export interface ProofCheck {
  readonly text: string
  readonly app: string
  readonly domain: string
  /** Milliseconds since 1970 UTC at the relay. */
  readonly now: number
  /** Ed25519 of 32 bytes of key, a message and 64 bytes of signature; false for what is no key. */
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
  /** Whether the nonce of that key was used already; asked before the signature is looked at. */
  readonly isUsed?: (proof: Proof) => boolean
}

/**
 * What the proof says, when it is one. Throws `unauthorized`, or `expired` with the relay's time (`relayTimeOf`) when it is
 * too old or too new.
 */
export function checkProof({ text, app, domain, now, verify, isUsed }: ProofCheck): Proof {
  const bytes = text.length === proofLength ? fromBase64url(text) : undefined
  if (bytes === undefined) throw new RdvError("unauthorized", `A proof has ${proofLength} characters of base64url`)
  const [key, time, nonce, signature] = [0, timeAt, nonceAt, signatureAt].map((from, index) =>
    bytes.subarray(from, [timeAt, nonceAt, signatureAt, proofBytes][index]),
  ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  const proof = { key: base64url(key), time: readTime(time), nonce: base64url(nonce) }
  if (!(Math.abs(proof.time - now) <= proofValidMs)) {
    throw new RdvError("expired", `The proof is not of this time: the relay's clock says ${Math.round(now)}`)
  }
  if (isUsed?.(proof) === true) throw new RdvError("unauthorized", "The proof was used before")
  if (!verify(key, signedBytes("proof", proven({ app, domain, time, nonce })), signature)) {
    throw new RdvError(
      "unauthorized",
      "The proof's signature is wrong: it is for another relay or application, or forged",
    )
  }
  return proof
}

/** The relay's time in a refusal, ms since 1970 UTC; undefined when it has none. */
export function relayTimeOf(refusal: { readonly code: string; readonly message: string }): number | undefined {
  if (refusal.code !== "expired") return undefined
  const time = Number(/ clock says (\d{1,15})$/.exec(refusal.message)?.[1] ?? Number.NaN)
  return Number.isSafeInteger(time) ? time : undefined
}

/** A clock may be wrong by so much; also how long a nonce has to be remembered, each way, ms. */
export const proofValidMs: number = 2 * 60 * 1000
export const nonceBytes = 16
/** Characters. */
export const proofLength = 160

const timeAt = publicKeyBytes
const nonceAt: number = timeAt + 8
const signatureAt: number = nonceAt + nonceBytes
const proofBytes: number = signatureAt + signatureBytes

interface Proven {
  readonly app: string
  readonly domain: string
  readonly time: Uint8Array
  readonly nonce: Uint8Array
}

function proven({ app, domain, time, nonce }: Proven): Uint8Array {
  return concat([utf8Encode(`${domain}\0${app}\0`), time, nonce])
}

function timeText(now: number): Uint8Array {
  const ms = Math.round(now)
  if (!Number.isSafeInteger(ms) || ms < 0) throw new RdvError("usage", "The time of a proof is none")
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(ms))
  return bytes
}

function readTime(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0))
}
