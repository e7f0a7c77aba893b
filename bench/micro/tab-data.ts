/**
 * What a server of an application pays for its promises, in Node: durable inserts by one writer and by 64 who share
 * flushes, blobs in rows, and proofs of a key. By hand: `node bench/micro/tab-data.ts`. The figures stand in
 * docs/decisions/0019-proof-of-key.md and 0020-blobs-in-rows.md.
 */

import { createPublicKey, verify } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { base64url, randomBytes } from "../../src/base/bytes.ts"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { openBlobs } from "../../src/capabilities/tab/data/blobs.ts"
import { openSql } from "../../src/capabilities/tab/data/tab-sql.ts"
import { newIdentityKey } from "../../src/capabilities/tab/identity/key-pair.ts"
import { checkProof, makeProof, nonceBytes } from "../../src/capabilities/tab/identity/proof.ts"
import { openNodeEngine } from "../../src/capabilities/tab/node/sqlite-engine.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-tab-data-"))
const context = { clock: systemClock, log: silentLog }
const sql = openSql(openNodeEngine(join(folder, "data.sqlite")), context)
await sql.script("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
for (const writers of [1, 64]) {
  const rows = writers === 1 ? 2_000 : 200
  const ms = await timed(() =>
    Promise.all(
      Array.from({ length: writers }, async () => {
        for (let row = 0; row < rows; row++)
          await sql.run("INSERT INTO notes (text) VALUES (?)", "a note of some length")
      }),
    ),
  )
  console.log(`durable inserts, ${writers} at a time: ${Math.round((rows * writers * 1000) / ms)}/s`)
}

const blobs = await openBlobs(sql, context)
const mib = 2 ** 20
const bytes = new Uint8Array(64 * mib).fill(7)
let id = ""
const put = await timed(async () => void ({ id } = await blobs.put(bytes)))
const get = await timed(async () => {
  for await (const chunk of (await blobs.get(id)) ?? []) void chunk
})
console.log(`a blob of 64 MiB: put ${rate(put)} MB/s, get ${rate(get)} MB/s`)
await sql.close()
rmSync(folder, { recursive: true })

const pair = await newIdentityKey()
const [app, domain, now] = ["notes", "example.test", Date.now()] as const
const count = 2_000
let text = ""
const made = await timed(async () => {
  for (let each = 0; each < count; each++) {
    text = await makeProof({ pair, app, domain, now, nonce: randomBytes(nonceBytes) })
  }
})
const checked = await timed(async () => {
  for (let each = 0; each < count; each++) checkProof({ text, app, domain, now, verify: isSigned })
})
console.log(`proofs: ${perSecond(made)} made, ${perSecond(checked)} checked a second`)

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

function rate(ms: number): number {
  return Math.round(bytes.length / 1000 / ms)
}

function perSecond(ms: number): number {
  return Math.round((count * 1000) / ms)
}

/** As a relay does it. */
function isSigned(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const jwk = { kty: "OKP", crv: "Ed25519", x: base64url(key) }
  return verify(null, message, createPublicKey({ key: jwk, format: "jwk" }), signature)
}
