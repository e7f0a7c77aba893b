import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { systemClock } from "../base/clock.ts"
import { silentLog } from "../base/log.ts"
import type { PublicationRow } from "./publication-rows.ts"
import { openSqliteStore } from "./sqlite-store.ts"

const row: PublicationRow = {
  swarm: "482713",
  owner: "laptop",
  access: new Uint8Array(32).fill(1),
  publisher: new Uint8Array(32).fill(2),
  createdAt: 1_700_000_000_000,
  expiresAt: null,
  once: false,
  maxPeers: 7,
  cache: true,
  isClosed: false,
  table: { version: 1, bytes: 3, mac: "mac" },
}

test("a share is there again when the store is opened again, with its table and what changed", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-publications-"))
  t.after(() => rmSync(folder, { recursive: true }))
  const open = () => openSqliteStore({ path: join(folder, "rdv.db"), clock: systemClock, log: silentLog })
  const first = open()
  first.publications.save(row, Uint8Array.of(1, 2, 3))
  first.publications.save({ ...row, isClosed: true })
  first.publications.save(
    { ...row, swarm: "000001", expiresAt: 5, once: true, cache: false, maxPeers: null },
    Uint8Array.of(9, 9, 9),
  )
  first.close()
  const second = open()
  t.after(() => second.close())
  const [other, same] = second.publications.list()
  assert.deepEqual(
    { ...same, access: undefined, publisher: undefined },
    { ...row, isClosed: true, access: undefined, publisher: undefined },
  )
  assert.deepEqual([...(same?.access ?? [])], [...row.access])
  assert.equal(other?.swarm, "000001")
  assert.deepEqual([other?.once, other?.cache, other?.expiresAt, other?.maxPeers], [true, false, 5, null])
  assert.deepEqual([...second.publications.table("482713")], [1, 2, 3])
  second.publications.save({ ...row, table: { version: 2, bytes: 1, mac: "new" } }, Uint8Array.of(4))
  assert.deepEqual([...second.publications.table("482713")], [4])
  assert.equal(second.publications.list().find(({ swarm }) => swarm === "482713")?.table.version, 2)
  second.publications.finish("482713", "one")
  second.publications.finish("482713", "one")
  second.publications.finish("482714", "other")
  assert.deepEqual(second.publications.finished("482713"), ["one"])
  second.publications.remove("482713")
  assert.deepEqual(second.publications.finished("482713"), [])
  assert.deepEqual(second.publications.finished("482714"), ["other"])
  assert.throws(() => second.publications.table("482713"), { code: "not_found" })
})
