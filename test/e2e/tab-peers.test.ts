/** Calls from server to server through a real relay, and STUN beside it. */

import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { test } from "node:test"
import type { RdvError } from "../../src/base/error.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Stream } from "../../src/base/stream.ts"
import type { Call } from "../../src/host/host.ts"
import { eventually } from "../kit/raw-http.ts"
import { newKey, plainAgent, tabRelay, TestServer } from "../kit/tab-relay.ts"

/** What a stream says until it is over. */
function conversation(stream: Stream): Promise<{ metas: JsonObject[]; text: string; error: string | undefined }> {
  const metas: JsonObject[] = []
  let text = ""
  return new Promise((resolve) => {
    stream.attach({
      data(chunk) {
        text += Buffer.from(chunk).toString()
        stream.consumed(chunk.length)
      },
      meta: (block) => metas.push(block),
      end: () => stream.end(),
      drain: () => undefined,
      closed: (error) => resolve({ metas, text, error: error?.code }),
    })
  })
}

/** Says who calls, sends back what it hears, and a word of its own. */
function echo(name: string): (call: Call) => void {
  return ({ stream, header }) => {
    stream.meta({ by: name, ...header })
    stream.attach({
      data(chunk) {
        stream.write(chunk)
        stream.consumed(chunk.length)
      },
      meta: (block) => stream.meta(block),
      end: () => stream.end(),
      drain: () => undefined,
      closed: () => undefined,
    })
  }
}

test("two servers call each other by name, and each knows by the relay's word whose key calls", async (t) => {
  const relay = await tabRelay(t)
  const [aliceKey, bobKey] = [await newKey(), await newKey()]
  const alice = await new TestServer(t, relay.at, {
    pair: aliceKey,
    name: "alice",
    epoch: 1,
    onPeer: echo("alice"),
  }).isPublic()
  const bob = await new TestServer(t, relay.at, { pair: bobKey, name: "bob", epoch: 1, onPeer: echo("bob") }).isPublic()
  for (const [from, to, key, name, by] of [
    [alice, "bob", aliceKey.key, "alice", "bob"],
    [bob, "alice", bobKey.key, "bob", "alice"],
  ] as const) {
    const header = { kind: "signal", from: "mallory", key: "forged" }
    const stream = from.running.agent.dial("tab/call", { header: { name: to, header } })
    const over = conversation(stream)
    stream.meta({ offer: 1 })
    stream.write(Buffer.from("x".repeat(1000)))
    stream.end()
    const { metas, text, error } = await over
    assert.deepEqual(metas, [{ by, from: name, key, header }, { offer: 1 }])
    assert.deepEqual([text.length, error], [1000, undefined])
  }
  const { calls, running } = (relay.running.relay.status()["tabs"] as { peers: { calls: number; running: number } })
    .peers
  assert.deepEqual([calls, running], [2, 0])
})

test("a call to nobody, by nobody, or to what is no server of this kind, is refused", async (t) => {
  const relay = await tabRelay(t, { limits: { asleepMs: 100 } })
  const alice = await new TestServer(t, relay.at, { pair: await newKey(), name: "alice", epoch: 1 }).isPublic()
  const agent = plainAgent(t, relay.at)
  await new Promise<void>((resolve) => {
    const expose = { kind: "http", name: "blog" } as const
    agent.agent.accept("http/blog", ({ stream }) => stream.end(), { expose, onExposed: () => resolve() })
    agent.agent.accept("tab/peer", () => assert.fail("an agent without a key was called"))
  })
  const code = async (from: { dial: TestServer["running"]["agent"]["dial"] }, header: JsonObject) =>
    (await conversation(from.dial("tab/call", { header }))).error
  const tab = alice.running.agent
  assert.equal(await code(tab, { name: "bob" }), "unreachable")
  assert.equal(await code(tab, { name: "blog" }), "unreachable")
  assert.equal(await code(tab, { name: "alice" }), "no_service", "it offers no service for peers")
  for (const wrong of [{}, { name: 7 }, { name: "A B" }, { name: "bob", header: [] }]) {
    assert.equal(await code(tab, wrong as JsonObject), "protocol")
  }
  assert.equal(await code(agent.agent, { name: "alice" }), "forbidden")
  const nameless = new TestServer(t, relay.at, { pair: await newKey(), name: "admin", epoch: 1 })
  await nameless.refusal()
  assert.equal(await code(nameless.running.agent, { name: "alice" }), "forbidden")
})

test("a call waits for a server that is being reloaded, and loses nothing that was said meanwhile", async (t) => {
  const relay = await tabRelay(t)
  const alice = await new TestServer(t, relay.at, { pair: await newKey(), name: "alice", epoch: 1 }).isPublic()
  const pair = await newKey()
  const old = await new TestServer(t, relay.at, {
    pair,
    name: "bob",
    epoch: 1,
    onPeer: () => assert.fail("the old one"),
  }).isPublic()
  old.abandon()
  const states = () => (relay.running.relay.status()["sessions"] as { state: string }[]).map(({ state }) => state)
  await eventually("the relay has noticed", () => states().includes("suspended"))
  const stream = alice.running.agent.dial("tab/call", { header: { name: "bob" } })
  const over = conversation(stream)
  stream.write(Buffer.from("hello"))
  stream.end()
  await new TestServer(t, relay.at, { pair, name: "bob", epoch: 2, onPeer: echo("bob") }).isPublic()
  assert.deepEqual([(await over).text, (await over).error], ["hello", undefined])
})

test("a server calls so many at a time and no more, and a call that is over makes room", async (t) => {
  const relay = await tabRelay(t, { tabs: { limits: { callsPerTab: 3 } } })
  const held: Stream[] = []
  const hold = ({ stream }: Call) => {
    held.push(stream)
    void conversation(stream)
  }
  await new TestServer(t, relay.at, { pair: await newKey(), name: "bob", epoch: 1, onPeer: hold }).isPublic()
  const alice = await new TestServer(t, relay.at, { pair: await newKey(), name: "alice", epoch: 1 }).isPublic()
  const call = () => alice.running.agent.dial("tab/call", { header: { name: "bob" } })
  const calls = [call(), call(), call()]
  await eventually("three are there", () => held.length === 3)
  assert.equal((await conversation(call())).error, "limit")
  const first = conversation(calls[0] as Stream)
  held[0]?.reset("closed")
  assert.equal((await first).error, "closed")
  const again = conversation(call())
  await eventually("there is room again", () => held.length === 4)
  held[3]?.end()
  assert.equal((await again).error, undefined)
})

test("peers learn from the relay where they are", async (t) => {
  const relay = await tabRelay(t, { tabs: { stun: { host: "127.0.0.1", port: 0 }, limits: { stunPerAddress: 10 } } })
  const port = Number(relay.tabs.stun?.split(":").at(-1))
  const socket = createSocket("udp4")
  t.after(() => socket.close())
  await new Promise<void>((resolve) => void socket.bind(0, "127.0.0.1", resolve))
  const request = Buffer.from("000100002112a442000102030405060708090a0b", "hex")
  socket.send(request, port, "127.0.0.1")
  const [answer] = (await once(socket, "message")) as [Buffer]
  assert.equal(answer.subarray(0, 8).toString("hex"), "0101000c2112a442")
  assert.deepEqual(answer.subarray(8, 20), request.subarray(8))
  assert.equal(answer.readUInt16BE(26) ^ 0x2112, socket.address().port)
  assert.equal((answer.readUInt32BE(28) ^ 0x2112a442) >>> 0, 0x7f000001)
  // Rubbish and floods cost the relay little and others nothing.
  let answers = 0
  socket.on("message", () => answers++)
  for (let count = 0; count < 100; count++)
    socket.send(count % 2 === 0 ? request : Buffer.from("rubbish"), port, "127.0.0.1")
  const stun = () =>
    (relay.running.relay.status()["tabs"] as { stun: { answered: number; ignored: number; limited: number } }).stun
  await eventually("all have come", () => stun().answered + stun().ignored + stun().limited >= 101)
  assert.deepEqual([stun().answered <= 21, stun().limited >= 30, stun().ignored], [true, true, 50])
})

test("a UDP port that is taken is said so", async (t) => {
  const socket = createSocket("udp4")
  t.after(() => socket.close())
  await new Promise<void>((resolve) => void socket.bind(0, "127.0.0.1", resolve))
  const { port } = socket.address()
  await assert.rejects(
    tabRelay(t, { tabs: { stun: { host: "127.0.0.1", port } } }),
    (error: RdvError) => error.code === "in_use" && error.message.includes(String(port)),
  )
})
