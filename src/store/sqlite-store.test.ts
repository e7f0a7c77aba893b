import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type TestContext, test } from "node:test"
import fc from "fast-check"
import type { Clock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import { silentLog } from "../base/log.ts"
import { databaseError } from "./database.ts"
import { migrations } from "./migrations.ts"
import { openSqliteStore } from "./sqlite-store.ts"
import { type Store, storeLimits } from "./store.ts"
import { isTokenText, mintTokenText } from "./token-text.ts"

const day = 86_400_000

class HandClock implements Clock {
  at: number = Date.UTC(2025, 0, 1)
  now = (): number => this.at
  wall = (): number => this.at
  after = (): never => assert.fail("the store sets no timers")
}

function memoryStore(t: TestContext): { store: Store; clock: HandClock } {
  const clock = new HandClock()
  const store = openSqliteStore({ path: ":memory:", clock, log: silentLog })
  t.after(() => store.close())
  return { store, clock }
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "rdv-store-"))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function openAt(t: TestContext, path: string, log = silentLog): Store {
  const store = openSqliteStore({ path, clock: new HandClock(), log, busyTimeoutMs: 20 })
  t.after(() => store.close())
  return store
}

function refusal(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RdvError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    assert.doesNotMatch(error.message, /\n/)
    return true
  }
}

test("a token that was made verifies, with its scopes", (t) => {
  const { store, clock } = memoryStore(t)
  const scopes = { names: ["blog", "team-*"], ports: [[2200, 2299]] as [number, number][], limits: { sessions: 2 } }
  const { token, record } = store.createToken({ name: "laptop", scopes })
  assert.match(token, /^rdv_[A-Za-z0-9_-]{47}$/)
  assert.deepEqual(record, {
    id: record.id,
    name: "laptop",
    scopes,
    createdAt: clock.at,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  })
  assert.match(record.id, /^[0-9a-f]{8}$/)
  assert.deepEqual(store.verifyToken(token), { ok: true, record })
})

test("each refusal has its reason", (t) => {
  const { store, clock } = memoryStore(t)
  const brief = store.createToken({ name: "brief", expiresAt: clock.at + day })
  const gone = store.createToken({ name: "gone" })
  const reason = (text: string) => {
    const verdict = store.verifyToken(text)
    return verdict.ok ? "ok" : verdict.reason
  }
  assert.equal(reason(""), "malformed")
  assert.equal(reason(gone.token.slice(0, -1)), "malformed")
  assert.equal(reason(`${gone.token}\n`), "malformed")
  assert.equal(reason(mintTokenText()), "unknown")
  assert.equal(reason(brief.token), "ok")
  clock.at += day - 1
  assert.equal(reason(brief.token), "ok")
  clock.at += 1
  assert.equal(reason(brief.token), "expired")
  assert.equal(store.revokeToken("gone")?.revokedAt, clock.at)
  assert.equal(reason(gone.token), "revoked")
})

test("every change of one character, and every cut, is known as a typo without a look-up", () => {
  const token = mintTokenText()
  assert.ok(isTokenText(token))
  for (let cut = 0; cut < token.length; cut++) assert.ok(!isTokenText(token.slice(0, cut)))
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.constantFrom("a", "Z", "0", "9", "-", "_", " ", ".", "é"), (at, other) => {
      fc.pre(token[at] !== other)
      assert.ok(!isTokenText(token.slice(0, at) + other + token.slice(at + 1)))
    }),
    { numRuns: 300 },
  )
})

test("names are unique among the living, and free again after revocation or expiry", (t) => {
  const { store, clock } = memoryStore(t)
  store.createToken({ name: "a", expiresAt: clock.at + day })
  const second = () => store.createToken({ name: "a" })
  assert.throws(second, refusal("usage", /"a" exists already/))
  clock.at += day
  const { record } = second()
  assert.throws(second, refusal("usage", /exists already/))
  assert.equal(store.revokeToken(record.id)?.id, record.id)
  assert.equal(store.revokeToken(record.id), undefined)
  second()
  assert.equal(store.listTokens().length, 3)
})

test("bad names, scopes and expiries are refused and leave nothing behind", (t) => {
  const { store, clock } = memoryStore(t)
  for (const name of ["", "-x", "a b", "x".repeat(65), "deadbeef", "a\nb", "ä"]) {
    assert.throws(() => store.createToken({ name }), refusal("usage", /name of a token/), name)
  }
  assert.throws(() => store.createToken({ name: "x", expiresAt: clock.at }), refusal("usage", /not in the future/))
  const scopes = { nmaes: ["x"] } as object
  assert.throws(() => store.createToken({ name: "x", scopes }), refusal("usage", /unknown key "nmaes"/))
  assert.deepEqual(store.listTokens(), [])
})

test("the last use is kept to the minute, without a write at each call", (t) => {
  const { store, clock } = memoryStore(t)
  const { token } = store.createToken({ name: "a" })
  const used = () => store.listTokens()[0]?.lastUsedAt
  const first = clock.at
  store.verifyToken(token)
  clock.at += 59_999
  store.verifyToken(token)
  assert.equal(used(), first)
  clock.at += 1
  store.verifyToken(token)
  assert.equal(used(), first + 60_000)
})

test("a claimed name stays its owner's until it is released", (t) => {
  const { store, clock } = memoryStore(t)
  const a = store.createToken({ name: "alice" }).record
  const b = store.createToken({ name: "bob" }).record
  assert.deepEqual(store.claimName("http", "blog", a.id), { ok: true, fresh: true })
  assert.deepEqual(store.claimName("http", "blog", a.id), { ok: true, fresh: false })
  assert.deepEqual(store.claimName("http", "blog", b.id), { ok: false, owner: "alice" })
  assert.deepEqual(store.claimName("tcp", "2222", b.id), { ok: true, fresh: true })
  assert.deepEqual([store.claimOwner("http", "blog"), store.claimOwner("tcp", "2222")], [a.id, b.id])
  assert.equal(store.claimOwner("tcp", "blog"), undefined)
  store.revokeToken("alice")
  assert.deepEqual(store.claimName("http", "blog", b.id), { ok: false, owner: "alice" })
  assert.deepEqual(store.claimsOf(a.id), [
    { kind: "http", name: "blog", ownerId: a.id, claimedAt: clock.at, guest: null, epoch: null },
  ])
  assert.equal(store.listClaims().length, 2)
  assert.equal(store.releaseClaim("http", "blog"), true)
  assert.equal(store.releaseClaim("http", "blog"), false)
  assert.deepEqual(store.claimName("http", "blog", b.id), { ok: true, fresh: true })
})

test("the epoch of a name only rises, and begins anew with another owner", (t) => {
  const { store } = memoryStore(t)
  assert.equal(store.raiseEpoch("http", "alice", 7), 7)
  assert.equal(store.claim("http", "alice"), undefined)
  store.claimName("http", "alice", "tab:a", "tab/chat")
  assert.equal(store.claim("http", "alice")?.epoch, null)
  assert.equal(store.raiseEpoch("http", "alice", 3), 3)
  assert.equal(store.raiseEpoch("http", "alice", 2), 3)
  assert.equal(store.raiseEpoch("http", "alice", 3), 3)
  assert.equal(store.raiseEpoch("http", "alice", 2 ** 52), 2 ** 52)
  assert.deepEqual([store.claim("http", "alice")?.guest, store.countGuestClaims("tab/chat")], ["tab/chat", 1])
  store.moveClaim("http", "alice", "token")
  const { guest, epoch } = store.claim("http", "alice") ?? {}
  assert.deepEqual([guest, epoch, store.countGuestClaims("tab/chat")], [null, null, 0])
})

test("a token that replaces another takes over its claims and remembered names", (t) => {
  const { store } = memoryStore(t)
  store.claimName("http", "blog", "old")
  store.claimName("http", "shop", "other")
  store.rememberName("old", "seed", "calm-otter")
  store.rememberName("new", "seed", "shy-robin")
  assert.equal(store.moveClaims("old", "new"), 1)
  assert.deepEqual(store.claimName("http", "blog", "new"), { ok: true, fresh: false })
  assert.deepEqual(store.claimName("http", "shop", "new"), { ok: false, owner: "other" })
  assert.equal(store.rememberedName("new", "seed"), "calm-otter")
})

test("a name that is handed over takes the memory of who picked it along", (t) => {
  const { store } = memoryStore(t)
  store.claimName("http", "calm-otter", "old")
  store.claimName("http", "blog", "old")
  store.claimName("tcp", "2222", "old")
  store.rememberName("old", "seed", "calm-otter")
  store.rememberName("old", "other", "blog")
  assert.equal(store.moveClaim("http", "calm-otter", "new"), true)
  assert.equal(store.moveClaim("http", "calm-otter", "new"), true)
  assert.equal(store.moveClaim("http", "nobody", "new"), false)
  assert.equal(store.moveClaim("http", "2222", "new"), false)
  assert.deepEqual(
    store.listClaims().map(({ name, ownerId }) => [name, ownerId]),
    [
      ["blog", "old"],
      ["calm-otter", "new"],
      ["2222", "old"],
    ],
  )
  assert.equal(store.rememberedName("new", "seed"), "calm-otter")
  assert.equal(store.rememberedName("old", "seed"), undefined)
  assert.equal(store.rememberedName("old", "other"), "blog")
  assert.equal(store.auditTrail().filter(({ event }) => event === "claim.moved").length, 1)
})

test("a token cannot claim without end", (t) => {
  const { store } = memoryStore(t)
  for (let count = 0; count < storeLimits.claimsPerOwner; count++) store.claimName("http", `n${count}`, "a")
  assert.throws(() => store.claimName("http", "one-more", "a"), refusal("limit", /1000/))
  assert.deepEqual(store.claimName("http", "n0", "a"), { ok: true, fresh: false })
  assert.deepEqual(store.claimName("http", "one-more", "b"), { ok: true, fresh: true })
  assert.throws(() => store.moveClaim("http", "one-more", "a"), refusal("limit", /1000/))
  assert.throws(() => store.moveClaims("b", "a"), refusal("limit", /1000/))
  assert.equal(store.claimOwner("http", "one-more"), "b")
})

test("generated names and ports are remembered per owner and seed; the oldest are forgotten first", (t) => {
  const { store } = memoryStore(t)
  store.rememberName("a", "seed", "calm-otter")
  store.rememberPort("a", "seed", 20_001)
  assert.equal(store.rememberedName("a", "seed"), "calm-otter")
  assert.equal(store.rememberedPort("a", "seed"), 20_001)
  assert.equal(store.rememberedName("b", "seed"), undefined)
  assert.equal(store.rememberedPort("a", "other"), undefined)
  for (let count = 0; count < storeLimits.rememberedPerOwner - 1; count++) store.rememberName("a", `s${count}`, "x-y")
  assert.equal(store.rememberedName("a", "seed"), undefined)
  assert.equal(store.rememberedPort("a", "seed"), 20_001)
  store.rememberPort("a", "seed", 20_002)
  store.rememberName("a", "more", "x-y")
  assert.equal(store.rememberedPort("a", "seed"), 20_002)
  assert.equal(store.rememberedName("a", "s0"), undefined)
})

test("the audit is bounded and newest first", (t) => {
  const { store, clock } = memoryStore(t)
  for (let count = 0; count < storeLimits.auditRows + 25; count++) store.audit("test.event", { count })
  const rows = store.auditTrail(storeLimits.auditRows * 2)
  assert.equal(rows.length, storeLimits.auditRows)
  assert.deepEqual(rows[0], { at: clock.at, event: "test.event", fields: { count: storeLimits.auditRows + 24 } })
  store.audit("test.large", { text: "x".repeat(10_000) })
  assert.ok(JSON.stringify(store.auditTrail(1)).length < 200)
})

test("neither the text of a token nor its secret half is on the disk or in the audit", (t) => {
  const path = join(folder(t), "relay.db")
  const store = openAt(t, path)
  const { token } = store.createToken({ name: "laptop" })
  store.verifyToken(token)
  store.revokeToken("laptop")
  assert.deepEqual(
    store.auditTrail().map((row) => row.event),
    ["token.revoked", "token.created"],
  )
  assert.ok(!JSON.stringify(store.auditTrail()).includes(token.slice(4, 20)))
  for (const file of readdirSync(join(path, ".."))) {
    assert.ok(!readFileSync(join(path, "..", file)).includes(token.slice(4, 20)), file)
  }
})

test("everything is there again after a restart, in private files", (t) => {
  const home = join(folder(t), "made", "here")
  const path = join(home, "relay.db")
  const before = openAt(t, path)
  const { token, record } = before.createToken({ name: "laptop" })
  before.claimName("http", "blog", record.id)
  if (process.platform !== "win32") {
    assert.equal(statSync(home).mode & 0o777, 0o700)
    for (const file of readdirSync(home)) assert.equal(statSync(join(home, file)).mode & 0o777, 0o600, file)
  }
  before.close()
  before.close()
  assert.throws(() => before.listTokens(), refusal("closed", /is closed/))
  const after = openAt(t, path)
  assert.ok(after.verifyToken(token).ok)
  assert.deepEqual(after.claimName("http", "blog", record.id), { ok: true, fresh: false })
})

test("a revocation by another process holds at once, and is noticed", (t) => {
  const path = join(folder(t), "relay.db")
  const relay = openAt(t, path)
  const command = openAt(t, path)
  const { token } = relay.createToken({ name: "laptop" })
  const seen = relay.outsideChanges()
  relay.audit("own.change")
  assert.equal(relay.outsideChanges(), seen)
  assert.equal(command.revokeToken("laptop")?.name, "laptop")
  assert.notEqual(relay.outsideChanges(), seen)
  assert.deepEqual(relay.verifyToken(token), { ok: false, reason: "revoked" })
})

test("a locked store is one clear line, and a good token still passes", (t) => {
  const path = join(folder(t), "relay.db")
  const warnings: string[] = []
  const store = openAt(t, path, { ...silentLog, warn: (event) => warnings.push(event) })
  const { token } = store.createToken({ name: "laptop" })
  const other = new DatabaseSync(path)
  t.after(() => other.close())
  other.exec("BEGIN IMMEDIATE")
  assert.throws(() => store.claimName("http", "blog", "a"), refusal("in_use", /locked by another process/))
  assert.throws(() => openAt(t, path), refusal("in_use", /locked by another process/))
  assert.ok(store.verifyToken(token).ok)
  assert.deepEqual(warnings, ["store.write_failed"])
  other.exec("ROLLBACK")
  assert.deepEqual(store.claimName("http", "blog", "a"), { ok: true, fresh: true })
})

test("a damaged store is one clear line", (t) => {
  const path = join(folder(t), "relay.db")
  const store = openAt(t, path)
  for (let count = 0; count < 200; count++) store.createToken({ name: `t${count}` })
  store.close()
  const whole = readFileSync(path)
  writeFileSync(path, whole.fill(0xa5, 4_096))
  assert.throws(() => openAt(t, path), refusal("corrupt", /is damaged/))
  truncateSync(path, 4_096 * 2)
  assert.throws(() => openAt(t, path), refusal("corrupt", /is damaged/))
})

test("what is not a store of ours is left alone", (t) => {
  const home = folder(t)
  const text = join(home, "text.db")
  writeFileSync(text, "shopping list: milk, bread, and a long tail that is no database at all\n".repeat(100))
  assert.throws(() => openAt(t, text), refusal("usage", /not a store of rdv/))
  const foreign = join(home, "foreign.db")
  const database = new DatabaseSync(foreign)
  database.exec("CREATE TABLE recipe (name TEXT)")
  assert.throws(() => openAt(t, foreign), refusal("usage", /not a store of rdv/))
  assert.deepEqual(
    database
      .prepare("SELECT name FROM sqlite_schema")
      .all()
      .map((row) => row["name"]),
    ["recipe"],
  )
  database.close()
})

test("a store from a newer version is refused and unchanged", (t) => {
  const path = join(folder(t), "relay.db")
  openAt(t, path).close()
  const database = new DatabaseSync(path)
  database.prepare("INSERT INTO schema_version (version, applied_at) VALUES (?, 0)").run(migrations.length + 1)
  database.close()
  assert.throws(() => openAt(t, path), refusal("usage", /newer rdv \(schema 5\)/))
  assert.throws(() => openAt(t, path), refusal("usage", /newer rdv/))
})

test("a path that cannot be a file is one clear line", (t) => {
  const home = folder(t)
  writeFileSync(join(home, "file"), "")
  assert.throws(() => openAt(t, join(home, "file", "relay.db")), refusal("usage", /cannot be written/))
  assert.throws(() => openAt(t, home), refusal("usage", /cannot be written \(EISDIR\)/))
})

test("read-only and full databases are one clear line each", (t) => {
  const database = new DatabaseSync(":memory:")
  t.after(() => database.close())
  database.exec("CREATE TABLE thing (text TEXT)")
  const insert = database.prepare("INSERT INTO thing VALUES (?)")
  const thrown = (text: string): RdvError => {
    try {
      insert.run(text)
    } catch (error) {
      return databaseError(error, "/data/relay.db")
    }
    return assert.fail("it should not fit")
  }
  database.exec("PRAGMA query_only = ON")
  assert.ok(refusal("usage", /^The store \/data\/relay.db cannot be written$/)(thrown("x")))
  database.exec("PRAGMA query_only = OFF; PRAGMA max_page_count = 2")
  assert.ok(refusal("limit", /disk that holds the store \/data\/relay.db is full/)(thrown("x".repeat(100_000))))
})

test("a failure in the middle of a change undoes the whole change", (t) => {
  const { store } = memoryStore(t)
  const cyclic: Record<string, unknown> = {}
  cyclic["self"] = cyclic
  assert.throws(() => store.audit("bad", cyclic as never), TypeError)
  store.audit("good")
  assert.deepEqual(
    store.auditTrail().map((row) => row.event),
    ["good"],
  )
})
