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

function said(server: ChatServer, title = "Garden"): Promise<Row[]> {
  return server.running.sql.all(
    `SELECT number, nick, text FROM messages WHERE room = (SELECT id FROM rooms WHERE title = ?)
    ORDER BY number IS NULL, number, position`,
    title,
  ) as Promise<unknown> as Promise<Row[]>
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
