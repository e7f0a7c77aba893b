import assert from "node:assert/strict"
import { createPublicKey, verify } from "node:crypto"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { base64url, fromBase64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { newIdentityKey } from "./key-pair.ts"
import { proofTokens } from "./proof-token.ts"
import { checkProof, makeProof, proofLength, proofValidMs, relayTimeOf } from "./proof.ts"
import type { ProofCheck } from "./proof.ts"

const pair = await newIdentityKey()
const now = Date.UTC(2025, 10, 13)
const here = { app: "chat", domain: "example.test" }
const nonce = new Uint8Array(16).fill(7)

function verifies(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: base64url(key) }, format: "jwk" })
  return verify(null, message, publicKey, signature)
}

function check(text: string, other: Partial<ProofCheck> = {}) {
  return checkProof({ text, ...here, now, verify: verifies, ...other })
}

const text = await makeProof({ pair, ...here, now, nonce })

test("a proof says whose it is, and is always as long", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.integer({ min: -proofValidMs, max: proofValidMs }),
      async (bytes, skew) => {
        const made = await makeProof({ pair, ...here, now: now + skew, nonce: bytes })
        assert.equal(made.length, proofLength)
        assert.deepEqual(check(made), { key: pair.key, time: now + skew, nonce: base64url(bytes) })
      },
    ),
    { numRuns: 30 },
  )
})

test("a proof for another relay, another application or with any bit changed is none", () => {
  assert.throws(() => check(text, { domain: "example.tes" }), { code: "unauthorized" })
  assert.throws(() => check(text, { app: "any" }), { code: "unauthorized" })
  assert.throws(() => check(text, { domain: "example.test\0chat", app: "" }), { code: "unauthorized" })
  const bytes = fromBase64url(text) as Uint8Array
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
      const bent = bytes.slice()
      bent[at] = (bent[at] as number) ^ (1 << bit)
      assert.throws(
        () => check(base64url(bent)),
        (error: RdvError) => error.code === "unauthorized" || (error.code === "expired" && at >= 32 && at < 40),
      )
    }),
  )
})

test("a stranger's text is refused with one line, whatever it is", () => {
  const strange = fc.oneof(
    fc.string(),
    fc.string({ minLength: proofLength, maxLength: proofLength }),
    fc.uint8Array({ minLength: 120, maxLength: 120 }).map(base64url),
  )
  fc.assert(
    fc.property(strange, (wrong) => {
      assert.throws(
        () => check(wrong),
        (error: RdvError) => error instanceof RdvError && (error.code === "unauthorized" || error.code === "expired"),
      )
    }),
  )
})

test("a proof of another time is told the relay's", () => {
  for (const skew of [proofValidMs + 1, -proofValidMs - 1, 10 * 365 * 24 * 3600 * 1000]) {
    let refusal: unknown
    try {
      check(text, { now: now + skew })
    } catch (error) {
      refusal = error
    }
    assert.ok(refusal instanceof RdvError && refusal.code === "expired")
    assert.equal(relayTimeOf(refusal), now + skew)
  }
  assert.equal(relayTimeOf(new RdvError("expired", "The token has expired")), undefined)
  assert.equal(relayTimeOf(new RdvError("unauthorized", "the relay's clock says 17")), undefined)
})

test("a nonce that was used is refused before anybody computes", () => {
  const isUsed = (proof: { readonly nonce: string }) => proof.nonce === base64url(nonce)
  const never = () => assert.fail("the signature was looked at")
  assert.throws(() => check(text, { isUsed, verify: never }), { code: "unauthorized", message: /used before/ })
})

test("a proof cannot be made of what it cannot hold", async () => {
  await assert.rejects(makeProof({ pair, ...here, now, nonce: new Uint8Array(15) }), { code: "usage" })
  await assert.rejects(makeProof({ pair, ...here, now: -1, nonce }), { code: "usage" })
  await assert.rejects(makeProof({ pair, ...here, now: Number.NaN, nonce }), { code: "usage" })
})

test("tokens are made anew each time, and by the relay's clock once it was told", async () => {
  const clock = new FakeClock()
  const token = proofTokens({ pair, ...here, clock })
  const proofOf = (made: string) => /^guest:tab\/chat:([A-Za-z0-9_-]{160})$/.exec(made)?.[1] as string
  const [one, two] = [await token(), await token()]
  assert.notEqual(one, two)
  assert.ok(one.length <= 256)
  assert.equal(check(proofOf(one), { now: clock.wall() }).time, clock.wall())
  const relay = clock.wall() + 3_600_000
  const refusal = new RdvError("expired", `The proof is not of this time: the relay's clock says ${relay}`)
  assert.equal(check(proofOf(await token(refusal)), { now: relay }).time, relay)
  assert.equal(check(proofOf(await token()), { now: relay }).time, relay)
})
