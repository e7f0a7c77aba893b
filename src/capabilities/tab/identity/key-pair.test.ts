import assert from "node:assert/strict"
import { createPublicKey, verify } from "node:crypto"
import { test } from "node:test"
import fc from "fast-check"
import { fromBase64url } from "../../../base/bytes.ts"
import {
  identityKeyFrom,
  identityOf,
  isIdentityKeyText,
  newIdentityKey,
  newIdentityPkcs8,
  signAs,
  signedBytes,
  verifyAs,
} from "./key-pair.ts"

const nobody = { name: undefined, url: undefined }

test("what an identity signed, everybody verifies by its key, and nothing else by it", async () => {
  const mine = identityOf(await newIdentityKey(), nobody)
  const other = identityOf(await newIdentityKey(), nobody)
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(), async (bytes, at) => {
      const signature = await mine.sign(bytes)
      assert.equal(signature.length, 64)
      assert.equal(await other.verify(mine.key, bytes, signature), true)
      assert.equal(await other.verify(other.key, bytes, signature), false)
      const bent = signature.slice()
      bent[at % 64] = (bent[at % 64] as number) ^ 1
      assert.equal(await other.verify(mine.key, bytes, bent), false)
    }),
    { numRuns: 30 },
  )
})

test("a signature for one purpose is none for another", async () => {
  const pair = await newIdentityKey()
  const bytes = new Uint8Array([1, 2, 3])
  const signature = await signAs(pair, "app", bytes)
  assert.equal(await verifyAs(pair.key, "app", bytes, signature), true)
  assert.equal(await verifyAs(pair.key, "proof", bytes, signature), false)
  assert.equal(await verifyAs(pair.key, "signal", bytes, signature), false)
})

test("no bytes of one purpose are the bytes of another", () => {
  const purposes = ["app", "proof", "signal"] as const
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (one, two) => {
      for (const a of purposes)
        for (const b of purposes) if (a !== b) assert.notDeepEqual(signedBytes(a, one), signedBytes(b, two))
    }),
  )
})

test("the private half of a browser's key cannot be taken out", async () => {
  const { privateKey } = await newIdentityKey()
  await assert.rejects(crypto.subtle.exportKey("pkcs8", privateKey))
  await assert.rejects(crypto.subtle.exportKey("jwk", privateKey))
})

test("a key from a file is the same identity each time, and Node's own crypto agrees on its signatures", async () => {
  const file = await newIdentityPkcs8()
  const [one, two] = [await identityKeyFrom(file), await identityKeyFrom(file)]
  assert.equal(one.key, two.key)
  await assert.rejects(crypto.subtle.exportKey("pkcs8", one.privateKey))
  const bytes = new Uint8Array([9, 8, 7])
  const signature = await identityOf(one, nobody).sign(bytes)
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: one.key }, format: "jwk" })
  assert.ok(verify(null, signedBytes("app", bytes), publicKey, signature))
  await assert.rejects(identityKeyFrom(new Uint8Array(48)), { code: "usage" })
  await assert.rejects(identityKeyFrom(file.subarray(1)), { code: "usage" })
})

test("what is no key verifies nothing and throws nothing", async () => {
  const signature = new Uint8Array(64)
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.uint8Array({ minLength: 32, maxLength: 32 })), async (key) => {
      const text = typeof key === "string" ? key : Buffer.from(key).toString("base64url")
      assert.equal(await verifyAs(text, "app", new Uint8Array(1), signature), false)
    }),
    { numRuns: 50 },
  )
  const { key } = await newIdentityKey()
  assert.equal(await verifyAs(key, "app", new Uint8Array(1), new Uint8Array(63)), false)
})

test("a key has one spelling", async () => {
  const { key } = await newIdentityKey()
  assert.ok(isIdentityKeyText(key))
  assert.equal(fromBase64url(key)?.length, 32)
  // The last character has two bits that mean nothing: with them set it would be the same key by another name.
  assert.ok(!isIdentityKeyText(`${"A".repeat(42)}B`))
  for (const wrong of ["", key.slice(1), `${key}A`, `${key.slice(1)}=`]) assert.ok(!isIdentityKeyText(wrong))
})

test("the name and the place of an identity are those of the moment", async () => {
  const facts: { name: string | undefined; url: string | undefined } = { name: undefined, url: undefined }
  const identity = identityOf(await newIdentityKey(), facts)
  assert.equal(identity.name, undefined)
  facts.name = "alice"
  facts.url = "http://alice.localhost/"
  assert.equal(identity.name, "alice")
  assert.equal(identity.url, "http://alice.localhost/")
})
