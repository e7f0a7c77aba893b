import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createCipheriv, createHash, createHmac } from "node:crypto"
import { test } from "node:test"
import { promisify } from "node:util"
import fc from "fast-check"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"
import type { HashName } from "../content/chunk-crypto.ts"
import { portableCrypto, portableHash } from "../content/portable-crypto.ts"
import { hasNativeBlake3, nodeCrypto, nodeHash } from "./node-crypto.ts"

const names: HashName[] = ["blake3", "sha256"]
const keys = someKeys(1)
const someBytes = fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ minLength: 1000, maxLength: 5000 }))

for (const name of names) {
  const node = nodeCrypto(keys, name)
  const portable = portableCrypto(keys, name)

  test(`${name}: Node and the portable implementation agree to the byte`, async () => {
    await fc.assert(
      fc.asyncProperty(someBytes, async (plain) => {
        const identity = node.identify(plain)
        assert.equal(Buffer.compare(identity, portable.identify(plain)), 0)
        assert.equal(Buffer.compare(node.hash(plain), portable.hash(plain)), 0)
        const sealed = await node.seal(plain, identity)
        assert.equal(Buffer.compare(sealed, await portable.seal(plain, identity)), 0)
        assert.equal(sealed.length, plain.length + 16)
        assert.equal(Buffer.compare(await node.open(sealed, identity), plain), 0)
        assert.equal(Buffer.compare(await portable.open(sealed, identity), plain), 0)
      }),
    )
  })

  test(`${name}: what is not what was sealed does not open`, async () => {
    const plain = new Uint8Array(1000).fill(7)
    const identity = node.identify(plain)
    const sealed = await node.seal(plain, identity)
    const wrong = [0, 500, 999, 1000, 1015].map((at) => {
      const changed = sealed.slice()
      changed[at] = (changed[at] as number) ^ 0x80
      return changed
    })
    for (const bytes of [
      ...wrong,
      sealed.subarray(0, -1),
      sealed.subarray(1),
      sealed.subarray(0, 15),
      new Uint8Array(0),
    ]) {
      await assert.rejects(async () => node.open(bytes, identity), { code: "corrupt" })
      await assert.rejects(async () => portable.open(bytes, identity), { code: "corrupt" })
    }
    const other = node.identify(Uint8Array.of(1))
    await assert.rejects(async () => node.open(sealed, other), { code: "corrupt" })
    await assert.rejects(async () => nodeCrypto(someKeys(2), name).open(sealed, identity), { code: "corrupt" })
  })

  test(`${name}: identities and seals are those of the swarm alone`, async () => {
    const plain = new Uint8Array(100)
    const other = nodeCrypto(someKeys(2), name)
    assert.notDeepEqual(node.identify(plain), other.identify(plain))
    assert.notDeepEqual(node.identify(plain), node.hash(plain))
    assert.notDeepEqual(await node.seal(plain, node.identify(plain)), await other.seal(plain, other.identify(plain)))
  })

  test(`${name}: one instance keeps nothing of what it did before`, () => {
    const first = node.identify(Uint8Array.of(1)).slice()
    node.identify(new Uint8Array(100_000))
    assert.deepEqual(node.identify(Uint8Array.of(1)), first)
  })
}

test("sha256 seals as written: HMAC for identity and key, AES-256-GCM without a nonce", async () => {
  const plain = Buffer.from("what is shared")
  const identity = createHmac("sha256", keys.identity).update(plain).digest()
  const cipher = createCipheriv(
    "aes-256-gcm",
    createHmac("sha256", keys.seal).update(identity).digest(),
    Buffer.alloc(12),
  )
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  const crypto = nodeCrypto(keys, "sha256")
  assert.deepEqual(Buffer.from(crypto.identify(plain)), identity)
  assert.deepEqual(Buffer.from(await crypto.seal(plain, identity)), sealed)
  assert.deepEqual(Buffer.from(nodeHash("sha256").hash(plain)), createHash("sha256").update(plain).digest())
})

test("what is sealed into memory of the caller is the same", async () => {
  const crypto = nodeCrypto(keys)
  const plain = Uint8Array.from({ length: 200_001 }, (_, at) => at % 253)
  const identity = crypto.identify(plain)
  const into = new Uint8Array(200_017)
  crypto.sealInto?.(plain, identity, into)
  assert.deepEqual(into, new Uint8Array(await crypto.seal(plain, identity)))
  assert.throws(() => crypto.sealInto?.(plain, identity, new Uint8Array(200_016)), { code: "internal" })
})

test("BLAKE3 is BLAKE3", () => {
  // Of the official test vectors: 0, 1, … 250, 0, … as input, `whats the Elvish word for friend` as key.
  const input = Uint8Array.from({ length: 102_400 }, (_, index) => index % 251)
  const key = Buffer.from("whats the Elvish word for friend")
  const [hash, keyed] = [
    "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
    "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
  ]
  for (const blake3 of [nodeHash("blake3"), portableHash("blake3")]) {
    assert.equal(Buffer.from(blake3.hash(input)).toString("hex"), hash)
  }
  for (const crypto of [
    nodeCrypto({ ...keys, identity: key }, "blake3"),
    portableCrypto({ ...keys, identity: key }, "blake3"),
  ]) {
    assert.equal(Buffer.from(crypto.identify(input)).toString("hex"), keyed)
  }
})

test("without the native package everything is the same, and SHA-256 is what new shares use", async () => {
  const hook = `import { registerHooks } from "node:module"
    registerHooks({ resolve(name, context, next) {
      if (name === "@napi-rs/blake-hash") throw new Error("not installed")
      return next(name, context)
    } })`
  const program = `import { hasNativeBlake3, nodeCrypto, nodeHash } from ${JSON.stringify(new URL("node-crypto.ts", import.meta.url).href)}
    const keys = { identity: new Uint8Array(32).fill(8), seal: new Uint8Array(32).fill(9) }
    const crypto = nodeCrypto(keys, "blake3")
    const bytes = new Uint8Array(3000).fill(5)
    const identity = crypto.identify(bytes)
    const hex = (bytes) => Buffer.from(bytes).toString("hex")
    console.log(JSON.stringify([hasNativeBlake3(), nodeCrypto(keys).name, hex(identity), hex(nodeHash("blake3").hash(crypto.seal(bytes, identity)))]))`
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--import",
    `data:text/javascript,${encodeURIComponent(hook)}`,
    "--input-type=module",
    "--eval",
    program,
  ])
  const bytes = new Uint8Array(3000).fill(5)
  const crypto = nodeCrypto(someKeys(1), "blake3")
  const identity = crypto.identify(bytes)
  const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex")
  assert.deepEqual(JSON.parse(stdout), [
    false,
    "sha256",
    hex(identity),
    hex(nodeHash("blake3").hash(await crypto.seal(bytes, identity))),
  ])
})

test("the hash of new shares is the fastest one here", () => {
  assert.equal(nodeCrypto(keys).name, hasNativeBlake3() ? "blake3" : "sha256")
})
