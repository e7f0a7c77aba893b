/** Names of tabs at a real relay: whose they are, who cannot have them, what visitors hear while nobody is there. */

import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { systemClock } from "../../src/base/clock.ts"
import { randomBytes } from "../../src/base/bytes.ts"
import { silentLog } from "../../src/base/log.ts"
import { proofTokens } from "../../src/capabilities/tab/identity/proof-token.ts"
import { makeProof } from "../../src/capabilities/tab/identity/proof.ts"
import { openSqliteStore } from "../../src/store/sqlite-store.ts"
import type { JsonObject } from "../../src/base/json.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"
import { fetchAt, newKey, plainAgent, publish, tabRelay, TestServer } from "../kit/tab-relay.ts"

const page = [{ path: "index.html", content: "<!doctype html><title>chat</title>" }]

test("a server with a key is public under the name that it chose, and rdv status knows it as a tab", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  const server = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1 }).isPublic()
  assert.equal(server.exposed?.url, `http://alice.localhost:${relay.port}`)
  const { status, text } = await fetchAt(relay.port, "alice.localhost", "/rooms?x=1", { method: "POST", body: "hi" })
  assert.deepEqual([status, text, server.served[0]?.["target"]], [200, "hello", "/rooms?x=1"])
  const [session] = relay.running.relay.status()["sessions"] as { kind: string; ownerId: string }[]
  assert.deepEqual([session?.kind, session?.ownerId], ["tab", `tab:${pair.key}`])
  const claim = relay.running.store.claim("http", "alice")
  assert.deepEqual([claim?.ownerId, claim?.guest, claim?.epoch], [`tab:${pair.key}`, "tab/any", 1])
})

test("nobody else gets the name: no other key, no token, no anonymous agent, whether its server is there or not", async (t) => {
  const relay = await tabRelay(t)
  const alice = await new TestServer(t, relay.at, { pair: await newKey(), name: "alice", epoch: 5 }).isPublic()
  const { token } = relay.running.store.createToken({ name: "admin" })
  const attempts = async () => {
    const pair = await newKey()
    const codes = []
    for (const as of [{}, { token }, { token: "" }] as const) {
      const options = { pair, name: "alice", epoch: 9, ...("token" in as && as.token !== "" && { token: as.token }) }
      if ("token" in as && as.token === "") {
        const anonymous = plainAgent(t, relay.at)
        codes.push(
          await new Promise((resolve) => {
            const expose = { kind: "http", name: "alice", epoch: 9 } as const
            const onRefused = (error: Error) => resolve((error as { code?: string }).code)
            anonymous.agent.accept("http/x", ({ stream }) => stream.end(), { expose, onRefused })
          }),
        )
      } else codes.push((await new TestServer(t, relay.at, options).refusal()).code)
    }
    return codes
  }
  assert.deepEqual(await attempts(), ["claimed", "claimed", "claimed"])
  assert.equal((await fetchAt(relay.port, "alice.localhost")).text, "hello")
  await alice.running.stop()
  assert.deepEqual(await attempts(), ["claimed", "claimed", "claimed"])
})

test("a tab takes no name that belongs to a token, and no reserved one", async (t) => {
  const relay = await tabRelay(t)
  relay.running.store.claimName("http", "blog", relay.running.store.createToken({ name: "a" }).record.id)
  const pair = await newKey()
  assert.equal((await new TestServer(t, relay.at, { pair, name: "blog", epoch: 1 }).refusal()).code, "claimed")
  assert.equal((await new TestServer(t, relay.at, { pair, name: "admin", epoch: 1 }).refusal()).code, "usage")
  assert.equal((await new TestServer(t, relay.at, { pair, name: "app.blog", epoch: 1 }).refusal()).code, "usage")
})

test("a newer server of the same key takes the name at once, and an older one never gets it back", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  const old = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 3, serve: () => "old" }).isPublic()
  assert.equal((await fetchAt(relay.port, "alice.localhost")).text, "old")
  const young = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 4, serve: () => "young" }).isPublic()
  assert.equal((await fetchAt(relay.port, "alice.localhost")).text, "young")
  assert.equal((await old.refusal()).code, "replaced")
  const late = new TestServer(t, relay.at, { pair, name: "alice", epoch: 3, serve: () => "late" })
  const refusal = await late.refusal()
  assert.deepEqual([refusal.code, /its epoch is 4, not 3/.test(refusal.message)], ["replaced", true])
  assert.equal((await fetchAt(relay.port, "alice.localhost")).text, "young")
  // Nor when the newer one has left.
  await young.running.stop()
  assert.equal((await new TestServer(t, relay.at, { pair, name: "alice", epoch: 3 }).refusal()).code, "replaced")
})

test("epochs and names outlive the relay", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-tabs-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const store = join(folder, "relay.db")
  const pair = await newKey()
  const first = await tabRelay(t, { store })
  await new TestServer(t, first.at, { pair, name: "alice", epoch: 7 }).isPublic()
  await first.running.stop()
  const second = await tabRelay(t, { store })
  assert.equal((await new TestServer(t, second.at, { pair, name: "alice", epoch: 6 }).refusal()).code, "replaced")
  assert.equal((await fetchAt(second.port, "alice.localhost")).headers["rdv-error"], "asleep")
  const thief = new TestServer(t, second.at, { pair: await newKey(), name: "alice", epoch: 8 })
  assert.equal((await thief.refusal()).code, "claimed")
  await new TestServer(t, second.at, { pair, name: "alice", epoch: 7 }).isPublic()
})

test("a proof is good once, for one relay, for one application", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  const proofOf = (app: string, domain: string) =>
    makeProof({ pair, app, domain, now: Date.now(), nonce: randomBytes(16) })
  const seen = `guest:tab/any:${await proofOf("any", "localhost")}`
  await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1, token: seen }).isPublic()
  const refusalOf = async (token: string) =>
    (await new TestServer(t, relay.at, { pair, name: "alice", epoch: 2, token }).refusal()).code
  assert.equal(await refusalOf(seen), "unauthorized", "replayed")
  assert.equal(await refusalOf(`guest:tab/any:${await proofOf("any", "other.test")}`), "unauthorized", "another relay")
  await publish(plainAgent(t, relay.at), "chat", page)
  assert.equal(await refusalOf(`guest:tab/any:${await proofOf("chat", "localhost")}`), "unauthorized", "another app")
  assert.equal(await refusalOf(`guest:tab/nothing:${await proofOf("nothing", "localhost")}`), "forbidden")
  await new TestServer(t, relay.at, { pair, name: "bob", epoch: 1, app: "chat" }).isPublic()
  assert.equal(relay.running.store.claim("http", "bob")?.guest, "tab/chat")
})

test("a relay that is not open takes servers of its published applications alone", async (t) => {
  const relay = await tabRelay(t, { open: false, tabs: { publishers: "tokens" } })
  const pair = await newKey()
  assert.equal((await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1 }).refusal()).code, "forbidden")
  const { token } = relay.running.store.createToken({ name: "publisher" })
  await publish(plainAgent(t, relay.at, { token }), "chat", page)
  await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1, app: "chat" }).isPublic()
})

test("a clock that is wrong by hours is put right by the relay's", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  for (const skew of [-5 * 3_600_000, 3_600_000]) {
    const clock = { ...systemClock, wall: () => Date.now() + skew }
    const token = proofTokens({ pair, app: "any", domain: "localhost", clock })
    const server = new TestServer(t, relay.at, { pair, name: "alice", epoch: 1, token })
    await server.isPublic()
    assert.deepEqual(
      server.events.map((event) => (event.kind === "retry" ? event.error.code : event.kind)),
      ["expired", "up"],
    )
    await server.running.stop()
  }
})

test("a key has three names at most", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  for (const name of ["one", "two", "three"]) {
    await (await new TestServer(t, relay.at, { pair, name, epoch: 1 }).isPublic()).running.stop()
  }
  assert.equal((await new TestServer(t, relay.at, { pair, name: "four", epoch: 1 }).refusal()).code, "forbidden")
  await new TestServer(t, relay.at, { pair, name: "two", epoch: 1 }).isPublic()
})

test("a tab that is reloaded again and again always comes in", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  for (let epoch = 1; epoch <= 8; epoch++) {
    const server = await new TestServer(t, relay.at, {
      pair,
      name: "alice",
      epoch,
      serve: () => String(epoch),
    }).isPublic()
    assert.equal((await fetchAt(relay.port, "alice.localhost")).text, String(epoch))
    server.abandon()
  }
  assert.ok((relay.running.relay.status()["sessions"] as unknown[]).length <= 4)
})

test("a request waits for the server that comes in the place of one that vanished, body and all", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  const old = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1 }).isPublic()
  old.abandon()
  await eventually("the relay has noticed", () => sessionStates(relay).includes("suspended"))
  const body = "x".repeat(300_000)
  const waiting = fetchAt(relay.port, "alice.localhost", "/", { method: "POST", body })
  const reading = fetchAt(relay.port, "alice.localhost", "/")
  const young = new TestServer(t, relay.at, {
    pair,
    name: "alice",
    epoch: 2,
    serve: (_head, _stream, got) => String(got.length),
  })
  assert.deepEqual([(await waiting).status, (await waiting).text], [200, "300000"])
  assert.equal((await reading).text, "0")
  assert.equal(old.served.length, 0)
  assert.equal(young.served.length, 2, "nothing came twice")
})

test("a read that was under way at the old server is asked again of the new one, a write is not", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  const old = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1, serve: () => undefined }).isPublic()
  const reading = fetchAt(relay.port, "alice.localhost", "/read")
  const writing = fetchAt(relay.port, "alice.localhost", "/write", { method: "POST", body: "x" })
  const keyed = fetchAt(relay.port, "alice.localhost", "/keyed", {
    method: "POST",
    headers: { "idempotency-key": "k1", "content-length": "0" },
  })
  await eventually("all are at the old server", () => old.served.length === 3)
  old.abandon()
  await eventually("the relay has noticed", () => sessionStates(relay).includes("suspended"))
  await new TestServer(t, relay.at, { pair, name: "alice", epoch: 2, serve: () => "young" }).isPublic()
  assert.equal((await reading).text, "young")
  assert.equal((await keyed).text, "young")
  const { status, headers } = await writing
  assert.deepEqual([status, headers["retry-after"]], [503, "1"])
})

test("a read that was under way when a server left in good order waits for the next one", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  const old = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1, serve: () => undefined }).isPublic()
  const reading = fetchAt(relay.port, "alice.localhost", "/read")
  await eventually("it is at the old server", () => old.served.length === 1)
  await old.running.stop()
  await eventually("its session is over", () => sessionStates(relay).length === 0)
  await new TestServer(t, relay.at, { pair, name: "alice", epoch: 2, serve: () => "young" }).isPublic()
  assert.equal((await reading).text, "young")
})

test("visitors who leave while they wait leave nothing, and a relay that drains lets nobody wait for long", async (t) => {
  const relay = await tabRelay(t, { limits: { asleepMs: 1_500 } })
  const pair = await newKey()
  const server = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1 }).isPublic()
  server.abandon()
  await eventually("the relay has noticed", () => sessionStates(relay).includes("suspended"))
  const leavers = await Promise.all(Array.from({ length: 50 }, () => rawClient(relay.port)))
  for (const leaver of leavers)
    await leaver.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 100\r\n\r\nabc")
  const visitors = () => (relay.running.relay.status()["visitors"] as { visitors: number; requests: number }).visitors
  await eventually("all wait", () => visitors() === 50)
  for (const leaver of leavers) leaver.reset()
  await eventually("all have left", () => visitors() === 0)
  const waiting = fetchAt(relay.port, "alice.localhost")
  await eventually("one waits", () => visitors() === 1)
  const since = performance.now()
  await relay.running.stop(10_000)
  assert.equal((await waiting).status, 503)
  assert.ok(performance.now() - since < 5_000)
})

test("requests behind one that waits are answered in order", async (t) => {
  const relay = await tabRelay(t)
  const pair = await newKey()
  const old = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1 }).isPublic()
  old.abandon()
  await eventually("the relay has noticed", () => sessionStates(relay).includes("suspended"))
  const client = await rawClient(relay.port)
  const post = (text: string) =>
    `POST /${text} HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  await client.send(`${post("one")}${post("second")}GET /third HTTP/1.1\r\nHost: alice.localhost\r\n\r\n`)
  const serve = (head: JsonObject, _stream: unknown, body: string) => `${String(head["target"])} ${body}`
  new TestServer(t, relay.at, { pair, name: "alice", epoch: 2, serve })
  const answers = [await client.answer(), await client.answer(), await client.answer()].map(({ body }) =>
    body.toString(),
  )
  assert.deepEqual(answers, ["/one one", "/second second", "/third "])
  client.socket.destroy()
})

test("whoever asks for a server that sleeps is told so, after a moment or at once, and a name that never was is not found", async (t) => {
  const relay = await tabRelay(t, { limits: { asleepMs: 400 } })
  const pair = await newKey()
  const server = await new TestServer(t, relay.at, { pair, name: "alice", epoch: 1 }).isPublic()
  await server.running.stop()
  const since = performance.now()
  const first = await fetchAt(relay.port, "alice.localhost", "/", { headers: { accept: "text/html" } })
  assert.ok(performance.now() - since > 150, "it waited")
  assert.deepEqual([first.status, first.headers["rdv-error"], first.headers["retry-after"]], [503, "asleep", "5"])
  assert.match(first.text, /asleep or closed now/)
  const again = performance.now()
  assert.equal((await fetchAt(relay.port, "alice.localhost")).headers["rdv-error"], "asleep")
  assert.ok(performance.now() - again < 300, "it has been away for long enough")
  assert.equal((await fetchAt(relay.port, "bob.localhost")).headers["rdv-error"], "no_route")
})

test("a name that the operator releases is anybody's", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-tabs-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, "relay.db")
  const relay = await tabRelay(t, { store: path, limits: { asleepMs: 100 } })
  const server = await new TestServer(t, relay.at, { pair: await newKey(), name: "alice", epoch: 4 }).isPublic()
  const operator = openSqliteStore({ path, clock: systemClock, log: silentLog })
  operator.releaseClaim("http", "alice")
  operator.close()
  assert.equal((await server.refusal()).code, "closed")
  await new TestServer(t, relay.at, { pair: await newKey(), name: "alice", epoch: 1 }).isPublic()
})

test("a tab reaches nothing of the relay but what is for tabs", async (t) => {
  const relay = await tabRelay(t)
  relay.running.relay.accept("channel", ({ stream }) => stream.end())
  const server = await new TestServer(t, relay.at, { pair: await newKey(), name: "alice", epoch: 1 }).isPublic()
  const closed = (service: string) =>
    new Promise((resolve) => {
      const stream = server.running.agent.dial(service, { header: { app: "x", files: 1, bytes: 1 } })
      const sink = { data() {}, meta() {}, drain() {}, end: () => stream.end() }
      stream.attach({ ...sink, closed: (error) => resolve(error?.code) })
    })
  assert.equal(await closed("channel"), "forbidden")
  assert.equal(await closed("tab/publish"), "forbidden")
  const refusal = await new Promise<unknown>((resolve) => {
    const onRefused = (error: Error) => resolve((error as { code?: string }).code)
    server.running.agent.accept("tcp/x", ({ stream }) => stream.end(), { expose: { kind: "tcp", port: 0 }, onRefused })
  })
  assert.equal(refusal, "forbidden")
})

function sessionStates(relay: { running: { relay: { status(): { [key: string]: unknown } } } }): string[] {
  return (relay.running.relay.status()["sessions"] as { state: string }[]).map(({ state }) => state)
}
