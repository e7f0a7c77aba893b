/** The chat example as it is used: servers of several people, in Node, at a real relay. */

import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { chatServer } from "../kit/chat-server.ts"
import type { ChatServer } from "../kit/chat-server.ts"
import { tabRelay } from "../kit/tab-relay.ts"
import type { TabRelay } from "../kit/tab-relay.ts"

interface Row {
  readonly number: number | null
  readonly nick: string
  readonly text: string
}

async function person(t: TestContext, relay: TabRelay, name: string): Promise<ChatServer> {
  const server = await chatServer(t, { name, relay: relay.at })
  await server.post("/settings", { nick: name.toUpperCase() })
  await server.goPublic()
  return server
}

/** The same one again, after it was stopped. */
async function again(t: TestContext, relay: TabRelay, { name, pair, file }: ChatServer): Promise<ChatServer> {
  return chatServer(t, { name, pair, file, relay: relay.at })
}

async function said(server: ChatServer, title = "Garden"): Promise<Row[]> {
  const rows = await server.running.sql.all<{ number: number | null; nick: string; text: string }>(
    `SELECT number, nick, text FROM messages WHERE room = (SELECT id FROM rooms WHERE title = ?)
    ORDER BY number IS NULL, number, position`,
    title,
  )
  return rows.map((row) => ({ ...row }))
}

async function eventually(what: string, check: () => Promise<boolean>, ms = 8_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await check())) {
    assert.ok(Date.now() < end, `not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function hears(server: ChatServer, texts: readonly string[]): Promise<void> {
  const now = async () => (await said(server)).map(({ number, text }) => `${number ?? "?"} ${text}`)
  const wanted = texts.map((text, at) => `${at + 1} ${text}`)
  await eventually(`${server.name} has ${wanted.join(", ")}`, async () => (await now()).join() === wanted.join()).catch(
    async (error: Error) => assert.fail(`${error.message}; it has ${(await now()).join()}; ${server.lines.join("\n")}`),
  )
}

test("two servers: one joins a room of the other, and messages go both ways, numbered alike", async (t) => {
  const relay = await tabRelay(t)
  const [alice, bob] = [await person(t, relay, "alice"), await person(t, relay, "bob")]
  const room = await alice.post("/rooms", { title: "Garden", topic: "What grows", open: "on" })
  await alice.post(`${room}/messages`, { text: "before bob" })
  const copy = await bob.post("/join", { address: "garden@alice" })
  await hears(bob, ["before bob"])
  await bob.post(`${copy}/messages`, { text: "hello from bob" })
  await hears(alice, ["before bob", "hello from bob"])
  await alice.post(`${room}/messages`, { text: "hello bob" })
  await hears(bob, ["before bob", "hello from bob", "hello bob"])
  assert.match(await bob.get(copy), /This room lives at|What grows/)
  assert.match(await alice.get(room), /hello from bob[\s\S]*hello bob/)
})

test("a home that is away: its room is read elsewhere, what is written waits, and all come together again", async (t) => {
  const relay = await tabRelay(t, { limits: { asleepMs: 200 } })
  const alice = await person(t, relay, "alice")
  const [bob, carol] = [await person(t, relay, "bob"), await person(t, relay, "carol")]
  const room = await alice.post("/rooms", { title: "Garden", open: "on" })
  const [bobs, carols] = [
    await bob.post("/join", { address: "garden@alice" }),
    await carol.post("/join", { address: " Garden@Alice " }),
  ]
  await alice.post(`${room}/messages`, { text: "one" })
  await bob.post(`${bobs}/messages`, { text: "two" })
  for (const server of [alice, bob, carol]) await hears(server, ["one", "two"])
  await alice.stop()
  assert.match(await carol.get(carols), /one[\s\S]*two/)
  await carol.post(`${carols}/messages`, { text: "three" })
  await carol.post(`${carols}/messages`, { text: "four" })
  assert.match(
    await carol.get(carols),
    /Waits until the room&#39;s server is there|Waits until the room's server is there/,
  )
  assert.match(await carol.get("/status"), /2 waiting/)
  // Carol's server goes too, and comes back: what waited is still there.
  await carol.stop()
  const carol2 = await again(t, relay, carol)
  await carol2.goPublic()
  const alice2 = await again(t, relay, alice)
  // Before it is public again: it goes out when it is.
  await alice2.post(`${room}/messages`, { text: "written alone" })
  await alice2.goPublic()
  for (const server of [alice2, bob, carol2]) await hears(server, ["one", "two", "written alone", "three", "four"])
  await eventually("nothing waits", async () => !/waiting/.test(await carol2.get("/status")))
})

test("a member that was away for a long time catches up, however much was said", async (t) => {
  const relay = await tabRelay(t, { limits: { asleepMs: 100 } })
  const [alice, bob] = [await person(t, relay, "alice"), await person(t, relay, "bob")]
  const room = await alice.post("/rooms", { title: "Garden", open: "on" })
  await bob.post("/join", { address: "garden@alice" })
  await bob.stop()
  const texts = Array.from({ length: 350 }, (_, at) => `message ${at}`)
  for (const text of texts) await alice.post(`${room}/messages`, { text })
  const waiting = (await alice.running.sql.get("SELECT count(*) AS count FROM outbox"))?.["count"] as number
  assert.ok(waiting <= 201, `${waiting} wait for one server`)
  const bob2 = await again(t, relay, bob)
  await bob2.goPublic()
  await hears(bob2, texts)
})

test("a file goes to every member, is the same everywhere, and is there while its author is away", async (t) => {
  const relay = await tabRelay(t, { limits: { asleepMs: 200 } })
  const [alice, bob, carol] = [
    await person(t, relay, "alice"),
    await person(t, relay, "bob"),
    await person(t, relay, "carol"),
  ]
  await alice.post("/rooms", { title: "Garden", open: "on" })
  const copies = [
    await bob.post("/join", { address: "garden@alice" }),
    await carol.post("/join", { address: "garden@alice" }),
  ]
  const content = new Uint8Array(3_000_000)
  for (let at = 0; at < content.length; at += 65_536) crypto.getRandomValues(content.subarray(at, at + 65_536))
  const headers = { "content-type": "image/png" }
  const put = await bob.fetch(`${copies[0]}/files?name=rose.png`, { method: "PUT", headers, body: content })
  assert.equal(put.status, 201)
  const path = async () => /<img src="([^"]+)" alt="rose.png"/.exec(await carol.get(copies[1] as string))?.[1]
  await eventually("carol has the picture", async () => (await path()) !== undefined)
  await bob.stop()
  await alice.stop()
  const got = await carol.fetch((await path()) ?? "")
  assert.deepEqual([got.status, got.headers.get("content-type")], [200, "image/png"])
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(content))
  const part = await carol.fetch((await path()) ?? "", { headers: { range: "bytes=262140-262150" } })
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), Buffer.from(content.subarray(262_140, 262_151)))
  // Not what a browser would run, whatever it is called.
  const page = { method: "PUT", headers: { "content-type": "text/html" }, body: "<script>alert(1)</script>" }
  await carol.fetch(`${copies[1]}/files?name=x.html`, page)
  const link = /href="([^"]+)" download="x.html"/.exec(await carol.get(copies[1] as string))?.[1] ?? ""
  const answer = await carol.fetch(link)
  assert.match(answer.headers.get("content-disposition") ?? "", /^attachment/)
  assert.equal(answer.headers.get("content-type"), "application/octet-stream")
})

test("a file above the limit is refused as it streams in, and nothing of it stays", async (t) => {
  const relay = await tabRelay(t)
  const alice = await person(t, relay, "alice")
  const room = await alice.post("/rooms", { title: "Garden" })
  let sent = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1_000_000
      controller.enqueue(new Uint8Array(1_000_000))
    },
  })
  const init = { method: "PUT", body, duplex: "half" } as RequestInit
  const answer = await alice.fetch(`${room}/files?name=large`, init)
  assert.deepEqual([answer.status, await answer.text()], [413, "A file has at most 32 MiB"])
  assert.ok(sent < 40_000_000)
  assert.deepEqual(await said(alice), [])
})

/** As another server would say it, past the application. */
async function tell(from: ChatServer, to: string, path: string, body: unknown): Promise<[number, string]> {
  const answer = await from.peers.fetch(to, `/federation${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
    body: JSON.stringify(body),
  })
  return [answer.status, await answer.text()]
}

async function lastMessage(server: ChatServer): Promise<{ [name: string]: unknown }> {
  const row = await server.running.sql.get(
    "SELECT id, author, name, nick, text, sent, signature FROM messages ORDER BY position DESC LIMIT 1",
  )
  return { ...row, file: null }
}

test("a message is taken only from its author, signed, for this room, from a member", async (t) => {
  const relay = await tabRelay(t)
  const [alice, bob, mallory] = [
    await person(t, relay, "alice"),
    await person(t, relay, "bob"),
    await person(t, relay, "mallory"),
  ]
  const room = await alice.post("/rooms", { title: "Garden", open: "on" })
  await alice.post("/rooms", { title: "Kitchen", open: "on" })
  for (const server of [bob, mallory]) await server.post("/join", { address: "garden@alice" })
  await mallory.post("/join", { address: "kitchen@alice" })
  const copy = await bob.post("/join", { address: "kitchen@alice" })
  await bob.post(`${copy}/messages`, { text: "true" })
  await eventually("alice has it", async () => (await said(alice, "Kitchen")).length === 1)
  const bobs = await lastMessage(bob)
  const garden = "/rooms/garden/messages"
  // Bob's own words, carried by somebody else, and into another room.
  assert.deepEqual(await tell(mallory, "alice", garden, bobs), [403, "A server sends only what its own user wrote"])
  const elsewhere = [403, "The message is not signed by its author for this room"]
  assert.deepEqual(await tell(bob, "alice", garden, bobs), elsewhere)
  const forged = { ...bobs, author: mallory.pair.key }
  assert.deepEqual(await tell(mallory, "alice", garden, forged), elsewhere)
  const kitchen = "/rooms/kitchen/messages"
  assert.deepEqual(await tell(bob, "alice", kitchen, { ...bobs, text: "false" }), elsewhere)
  assert.deepEqual(await tell(bob, "alice", kitchen, bobs), [200, `{"number":1}`], "the same again is the same")
  assert.deepEqual(await said(alice, "Kitchen"), [{ number: 1, nick: "BOB", text: "true" }])
  // What is none.
  for (const wrong of [{}, [], { ...bobs, id: "short" }, { ...bobs, text: "" }, { ...bobs, text: "x".repeat(5000) }]) {
    assert.equal((await tell(bob, "alice", garden, wrong))[0], 400)
  }
  assert.deepEqual(await said(alice), [])
  // Whoever is no member neither writes nor reads.
  await alice.post("/rooms", { title: "Cellar" })
  await alice.post("/rooms", { title: "Attic", open: "on" })
  assert.equal((await tell(bob, "alice", "/rooms/attic/messages", bobs))[0], 403)
  assert.equal((await bob.peers.fetch("alice", "/federation/rooms/attic/messages?after=0")).status, 403)
  await assert.rejects(bob.post("/join", { address: "cellar@alice" }), /Only who is invited joins Cellar/)
  await assert.rejects(bob.post("/join", { address: "nowhere@alice" }), /There is no such room/)
  // News come from the room's home alone.
  const facts = { slug: "garden", title: "Taken", topic: "", isOpen: true, last: 1, messages: [] }
  assert.equal((await tell(mallory, "bob", "/news", facts))[0], 404)
  assert.doesNotMatch(await bob.get("/"), /Taken/)
  // A home that shows a member something that its author did not write.
  await alice.running.sql.run(
    "INSERT INTO outbox (peer, lane, path, body, key, due, made) VALUES ('bob', 'tell', '/news', ?, 'lie', 0, ?)",
    JSON.stringify({ ...facts, title: "Garden", messages: [{ ...bobs, text: "a lie", number: 1 }] }),
    Date.now(),
  )
  await alice.get(room)
  await eventually("bob has heard", async () => (await said(bob)).length === 1)
  const shown = await bob.get("/rooms/1")
  assert.match(shown, /A message is not shown: it is not signed by its author/)
  assert.doesNotMatch(shown, /a lie/)
})

test("a name that comes back with another key is refused, until its owner is told to be somebody new", async (t) => {
  const relay = await tabRelay(t)
  const [alice, bob] = [await person(t, relay, "alice"), await person(t, relay, "bob")]
  await alice.post("/rooms", { title: "Garden", open: "on" })
  const copy = await bob.post("/join", { address: "garden@alice" })
  // As if the name had been another key's before, on both sides.
  const other = alice.pair.key.replace(/^./, (first) => (first === "A" ? "B" : "A"))
  await bob.running.sql.run("UPDATE pins SET key = ? WHERE name = 'alice'", other)
  await bob.post(`${copy}/messages`, { text: "for the alice I know" })
  await eventually("bob sees it", async () => /alice is not who it was/.test(await bob.get("/status")))
  assert.deepEqual(await said(alice), [])
  assert.deepEqual(await tell(alice, "bob", "/news", {}), [403, "alice is not who it was: it has another key"])
  await bob.post("/pins/alice/forget", {})
  await alice.get("/")
  await tell(alice, "bob", "/news", {})
  await hears(alice, ["for the alice I know"])
})

test("a closed room: an invitation arrives, and whoever was invited joins", async (t) => {
  const relay = await tabRelay(t)
  const [alice, bob] = [await person(t, relay, "alice"), await person(t, relay, "bob")]
  const room = await alice.post("/rooms", { title: "Cellar" })
  await alice.post(`${room}/guests`, { name: "bob" })
  await eventually("bob is asked", async () => /invites you to <b>Cellar/.test(await bob.get("/")))
  const copy = await bob.post("/join", { address: "cellar@alice" })
  assert.doesNotMatch(await bob.get("/"), /invites you/)
  assert.match(await alice.get(room), /BOB/)
  await bob.post(`${copy}/leave`, {})
  await eventually("alice knows", async () => !/>BOB</.test(await alice.get(room)))
  assert.equal((await bob.fetch(copy)).status, 404)
})

test("strangers read the profile and open rooms, and nothing else; nobody writes in the owner's name", async (t) => {
  const relay = await tabRelay(t)
  const alice = await person(t, relay, "alice")
  const open = await alice.post("/rooms", { title: "Garden", topic: "<b>Roses</b>", open: "on" })
  const closed = await alice.post("/rooms", { title: "Cellar" })
  await alice.post(`${open}/messages`, { text: `<script>alert(1)</script> & https://example.org/?a="b` })
  const stranger = { kind: "public", address: "192.0.2.1" } as const
  const as = async (path: string, init?: RequestInit) => {
    const answer = await alice.fetch(path, init, stranger)
    return { status: answer.status, text: await answer.text(), policy: answer.headers.get("content-security-policy") }
  }
  const profile = await as("/")
  assert.match(profile.text, /ALICE[\s\S]*Garden/)
  assert.doesNotMatch(profile.text, /Cellar/)
  const page = await as("/r/garden")
  assert.match(page.text, /&lt;script&gt;alert\(1\)&lt;\/script&gt; &amp; <a href="https:\/\/example.org\/\?a="/)
  assert.doesNotMatch(page.text, /<b>Roses|<script>alert|composer/)
  assert.match(page.policy ?? "", /default-src 'self'.*frame-ancestors 'none'/)
  for (const path of [
    "/r/cellar",
    "/r/cellar/events",
    closed,
    open,
    "/settings",
    "/status",
    "/events",
    "/federation/rooms/garden/messages",
  ]) {
    assert.ok([403, 404].includes((await as(path)).status), path)
  }
  for (const [method, path] of [
    ["POST", `${open}/messages`],
    ["POST", "/rooms"],
    ["PUT", `${open}/files?name=x`],
    ["POST", "/settings"],
  ] as const) {
    assert.equal(
      (await as(path, { method, body: new URLSearchParams({ text: "x", title: "x", nick: "x" }) })).status,
      404,
    )
  }
  const init = { method: "POST", headers: { origin: "https://evil.example" }, body: new URLSearchParams({ text: "x" }) }
  assert.equal((await alice.fetch(`${open}/messages`, init)).status, 403)
  assert.equal((await said(alice)).length, 1)
})

test("a page hears of what is said while it is said; one sent twice with a key is there once", async (t) => {
  const relay = await tabRelay(t)
  const alice = await person(t, relay, "alice")
  const room = await alice.post("/rooms", { title: "Garden" })
  const events = await alice.fetch(`/events?room=${room.split("/")[2]}`)
  const reader = (events.body as ReadableStream<Uint8Array>).getReader()
  const init = () => ({
    method: "POST",
    headers: { "idempotency-key": "one" },
    body: new URLSearchParams({ text: "hello" }),
  })
  for (let count = 0; count < 3; count++) assert.equal((await alice.fetch(`${room}/messages`, init())).status, 303)
  let heard = ""
  while (!/event: message\ndata: .*hello.*\n\n/.test(heard))
    heard += Buffer.from((await reader.read()).value ?? []).toString()
  await reader.cancel()
  assert.equal((await said(alice)).length, 1)
})
