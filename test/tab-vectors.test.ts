/** Golden bytes of docs/protocol.md, section 9.6, both ways. */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { createPublicKey, verify } from "node:crypto"
import { join } from "node:path"
import { test } from "node:test"
import { identityKeyFrom, signAs, verifyAs } from "../src/capabilities/tab/identity/key-pair.ts"
import type { SignaturePurpose } from "../src/capabilities/tab/identity/key-pair.ts"
import { checkProof, makeProof } from "../src/capabilities/tab/identity/proof.ts"

interface Vectors {
  readonly pkcs8: string
  readonly key: string
  readonly proof: {
    readonly app: string
    readonly domain: string
    readonly now: number
    readonly nonce: string
    readonly text: string
  }
  readonly signatures: { readonly [purpose: string]: { readonly bytes: string; readonly signature: string } }
}

const vectors = JSON.parse(readFileSync(join(import.meta.dirname, "vectors", "tab.json"), "utf8")) as Vectors
const fromHex = (text: string) => new Uint8Array(Buffer.from(text, "hex"))

test("the key, the proof and the signatures of the vectors are made and taken byte for byte", async () => {
  const pair = await identityKeyFrom(fromHex(vectors.pkcs8))
  assert.equal(pair.key, vectors.key)
  const { app, domain, now, nonce, text } = vectors.proof
  assert.equal(await makeProof({ pair, app, domain, now, nonce: fromHex(nonce) }), text)
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: vectors.key }, format: "jwk" })
  const proof = checkProof({
    text,
    app,
    domain,
    now,
    verify: (_key, message, signature) => verify(null, message, publicKey, signature),
  })
  assert.deepEqual(proof, { key: vectors.key, time: now, nonce: Buffer.from(nonce, "hex").toString("base64url") })
  for (const [purpose, { bytes, signature }] of Object.entries(vectors.signatures)) {
    const made = await signAs(pair, purpose as SignaturePurpose, fromHex(bytes))
    assert.equal(Buffer.from(made).toString("hex"), signature)
    assert.ok(await verifyAs(pair.key, purpose as SignaturePurpose, fromHex(bytes), fromHex(signature)))
  }
})
