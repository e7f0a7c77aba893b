/**
 * The key pair that a server is: Ed25519 (RFC 8032) by Web Crypto. In a browser the private half cannot be taken out, not
 * even by the application; the browser keeps the pair as it is (IndexedDB clones keys). In Node it lies in a file of the owner.
 *
 * Every signature is made for a purpose, whose name is signed with the bytes: what an application lets itself be talked
 * into signing is no proof at a relay and no offer to a peer.
 */

import { base64url, concat, fromBase64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { utf8Encode } from "../../../base/text.ts"
import type { Identity } from "../app/identity.ts"

/** A key as Web Crypto has it. */
export type WebKey = Parameters<typeof crypto.subtle.sign>[1]

/** May be kept by IndexedDB as it is. */
export interface IdentityKey {
  readonly privateKey: WebKey
  /** Of the public key: 32 bytes as base64url, 43 characters. */
  readonly key: string
}

/** What is public of a server at the moment; read whenever somebody asks. */
export interface PublicFacts {
  readonly name: string | undefined
  readonly url: string | undefined
}

/**
 * What a signature is for: the application's own use, going public at a relay, or the direct way to a peer
 * (`docs/protocol.md`, section 9.8).
 */
export type SignaturePurpose = "app" | "proof" | "signal"

/** A new pair whose private half never leaves the browser. */
export async function newIdentityKey(): Promise<IdentityKey> {
  const { privateKey, publicKey } = await generatePair(false)
  return { privateKey, key: base64url(new Uint8Array(await crypto.subtle.exportKey("raw", publicKey))) }
}

/** A new private key for a file: PKCS #8 (RFC 8410), DER. */
export async function newIdentityPkcs8(): Promise<Uint8Array> {
  const { privateKey } = await generatePair(true)
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey))
}

/** The pair of a private key from a file. Rejects `usage` when it is no Ed25519 key. */
export async function identityKeyFrom(pkcs8: Uint8Array): Promise<IdentityKey> {
  try {
    const bytes = new Uint8Array(pkcs8)
    // Only an extractable key tells its public half.
    const readable = await crypto.subtle.importKey("pkcs8", bytes, algorithm, true, ["sign"])
    const { x } = await crypto.subtle.exportKey("jwk", readable)
    const privateKey = await crypto.subtle.importKey("pkcs8", bytes, algorithm, false, ["sign"])
    if (x === undefined || !isIdentityKeyText(x)) throw new RdvError("usage")
    return { privateKey, key: x }
  } catch (cause) {
    throw new RdvError("usage", "The identity is no Ed25519 private key in PKCS #8", { cause })
  }
}

/** What an application gets. */
export function identityOf(pair: IdentityKey, facts: PublicFacts): Identity {
  return {
    key: pair.key,
    get name() {
      return facts.name
    },
    get url() {
      return facts.url
    },
    sign: (bytes) => signAs(pair, "app", bytes),
    verify: (key, bytes, signature) => verifyAs(key, "app", bytes, signature),
  }
}

/** 64 bytes. */
export async function signAs(pair: IdentityKey, purpose: SignaturePurpose, bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign(algorithm, pair.privateKey, signedBytes(purpose, bytes)))
}

/** Whether `signAs` made the signature with this key, for this purpose. False also for what is no key. */
export async function verifyAs(
  key: string,
  purpose: SignaturePurpose,
  bytes: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const raw = isIdentityKeyText(key) ? fromBase64url(key) : undefined
  if (raw === undefined || signature.length !== signatureBytes) return false
  try {
    const publicKey = await crypto.subtle.importKey("raw", new Uint8Array(raw), algorithm, false, ["verify"])
    return await crypto.subtle.verify(algorithm, publicKey, new Uint8Array(signature), signedBytes(purpose, bytes))
  } catch {
    // 32 bytes that are no point of the curve.
    return false
  }
}

/** What the algorithm really signs. The prefixes of two purposes never begin each other. */
export function signedBytes(purpose: SignaturePurpose, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(concat([utf8Encode(prefixes[purpose]), bytes]))
}

/** One spelling for each key: 32 bytes as base64url. */
export function isIdentityKeyText(text: string): boolean {
  const bytes = text.length === 43 ? fromBase64url(text) : undefined
  return bytes !== undefined && base64url(bytes) === text
}

function generatePair(isExtractable: boolean): Promise<{ readonly privateKey: WebKey; readonly publicKey: WebKey }> {
  // Not every library of types knows that this algorithm makes pairs.
  return crypto.subtle.generateKey(algorithm, isExtractable, ["sign", "verify"]) as never
}

export const publicKeyBytes = 32
export const signatureBytes = 64

const algorithm = "Ed25519"

const prefixes: { readonly [Purpose in SignaturePurpose]: string } = {
  app: "rdv tab app 1\0",
  proof: "rdv tab 1\0",
  signal: "rdv tab signal 1\0",
}
