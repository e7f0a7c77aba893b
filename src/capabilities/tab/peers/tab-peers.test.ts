import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { eventually } from "../../../../test/kit/raw-http.ts"
import { TestPeers } from "../../../../test/kit/peer-pair.ts"
import type { TestPeer } from "../../../../test/kit/peer-pair.ts"
import { RtcNet } from "../../../../test/kit/rtc-net.ts"
import type { RdvError } from "../../../base/error.ts"
import type { TabApp } from "../app/app.ts"
import { visitorOf } from "../app/visitor.ts"

const echo: TabApp = {
  async fetch(request) {
    const { pathname } = new URL(request.url)
    if (pathname === "/echo") return new Response(request.body)
    return Response.json({ path: pathname, visitor: visitorOf(request) })
  },
}

interface Two {
  readonly world: TestPeers
  readonly net: RtcNet
  readonly alice: TestPeer
  readonly bob: TestPeer
}

async function two(t: TestContext, app: TabApp = echo): Promise<Two> {
  const [world, net] = [new TestPeers(), new RtcNet()]
  t.after(() => world.leave())
  const alice = await world.add({ name: "alice", app, rtc: net.machine() })
  const bob = await world.add({ name: "bob", app, rtc: net.machine() })
  return { world, net, alice, bob }
}

describe("requests between servers", () => {
  test("the first goes by the relay, later ones directly and both ways, and each knows whose they are", async (t) => {
    const { world, net, alice, bob } = await two(t)
    assert.equal((await alice.peers.fetch("bob", "/first")).status, 200)
    assert.deepEqual(
      world.calls.map(({ kind }) => kind),
      ["signal", "http"],
    )
    await alice.isDirectTo(bob)
    await bob.isDirectTo(alice)
    for (const [one, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const answer = await one.peers.fetch(other.name, "/second")
      const peer = { name: one.name, key: one.pair.key }
      assert.deepEqual(await answer.json(), { path: "/second", visitor: { kind: "peer", peer } })
      const facts = one.facts(other)
      assert.deepEqual([facts?.path, facts?.key, facts?.formerKey], ["direct", other.pair.key, undefined])
      assert.ok((facts?.rttMs as number) > 0)
    }
    assert.deepEqual([world.calls.length, net.made, net.open], [2, 1, 2])
  })

  test("of two who want each other at the same time one connection comes", async (t) => {
    const { net, alice, bob } = await two(t)
    await Promise.all([alice.peers.fetch("bob", "/"), bob.peers.fetch("alice", "/")])
    await alice.isDirectTo(bob)
    await bob.isDirectTo(alice)
    assert.deepEqual([net.made, net.open], [1, 2])
  })

  test("bodies of many megabytes arrive whole", async (t) => {
    const { alice, bob, world } = await two(t)
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(bob)
    const calls = world.calls.length
    const bytes = randomBytes(20_000_000)
    const answer = await alice.peers.fetch("bob", "/echo", { method: "POST", body: bytes })
    const hash = createHash("sha256").update(Buffer.from(await answer.arrayBuffer()))
    assert.equal(hash.digest("hex"), createHash("sha256").update(bytes).digest("hex"))
    assert.equal(world.calls.length, calls)
  })

  test("without a network for direct ways everything goes by the relay, and attempts become rare", async (t) => {
    const { net, world, alice, bob } = await two(t)
    net.isBlocked = true
    for (let count = 0; count < 50; count++) assert.equal((await alice.peers.fetch("bob", "/")).status, 200)
    assert.equal(alice.facts(bob)?.path, "relay")
    assert.equal(world.calls.filter(({ kind }) => kind === "signal").length, 1)
  })

  test("a peer without direct ways is not asked again and again", async (t) => {
    const world = new TestPeers()
    t.after(() => world.leave())
    const alice = await world.add({ name: "alice", app: echo, rtc: new RtcNet().machine() })
    const bob = await world.add({ name: "bob", app: echo })
    for (let count = 0; count < 20; count++) {
      assert.equal((await alice.peers.fetch("bob", "/")).status, 200)
      assert.equal((await bob.peers.fetch("alice", "/")).status, 200)
    }
    assert.equal(world.calls.filter(({ kind }) => kind === "signal").length, 1)
    assert.equal(alice.lines.find(({ event }) => event === "tab.peer_not_direct")?.fields["code"], "no_service")
  })

  test("a server does not talk to itself directly", async (t) => {
    const { net, world, alice } = await two(t)
    assert.equal((await alice.peers.fetch("alice", "/")).status, 200)
    assert.deepEqual([net.open, world.calls.length], [0, 1])
  })

  test("who leaves takes its direct ways along, and may come back", async (t) => {
    const { net, alice, bob } = await two(t)
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(bob)
    alice.peers.leave()
    await eventually("nothing is open", () => net.open === 0)
    assert.equal(alice.facts(bob)?.path, "relay")
    await eventually("bob knows", () => bob.facts(alice)?.path === "relay")
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(bob)
  })
})

describe("a direct way that breaks", () => {
  test("what runs goes on over the next channel: nothing is lost or doubled", async (t) => {
    const runs = new Map<string, number>()
    const { net, world, alice, bob } = await two(t, {
      async fetch(request) {
        const { pathname } = new URL(request.url)
        runs.set(pathname, (runs.get(pathname) ?? 0) + 1)
        return new Response(request.body)
      },
    })
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(bob)
    const bytes = randomBytes(3_000_000)
    let isCutting = true
    let made = 0
    const work = async (who: TestPeer, whom: TestPeer, at: number): Promise<void> => {
      for (let count = 0; isCutting || count === 0; count++) {
        const path = `/${who.name}/${at}/${count}`
        const answer = await who.peers.fetch(whom.name, path, { method: "POST", body: bytes })
        assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes))
        made++
      }
    }
    const all = [0, 1, 2].flatMap((at) => [work(alice, bob, at), work(bob, alice, at)])
    t.after(() => (isCutting = false))
    for (let cut = 1; cut <= 3; cut++) {
      const before = made
      await eventually("something has gone through", () => made > before, 10_000)
      net.cut()
      await eventually("there is another one", () => net.made > cut, 10_000)
      await alice.isDirectTo(bob)
    }
    isCutting = false
    await Promise.all(all)
    assert.ok([...runs].every(([path, count]) => path === "/" || count === 1))
    assert.equal(runs.size, made + 1)
    assert.ok(world.calls.length > 0)
  })

  test("new requests go by the relay meanwhile", async (t) => {
    const { net, world, alice, bob } = await two(t)
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(bob)
    net.isBlocked = true
    net.cut()
    await eventually("it is noticed", () => alice.facts(bob)?.path === "relay")
    const before = world.calls.filter(({ kind }) => kind === "http").length
    assert.equal((await alice.peers.fetch("bob", "/")).status, 200)
    assert.equal(world.calls.filter(({ kind }) => kind === "http").length, before + 1)
  })

  test("silence is noticed within four seconds", { timeout: 20_000 }, async (t) => {
    const { net, alice, bob } = await two(t)
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(bob)
    const since = performance.now()
    net.silence()
    const answer = alice.peers.fetch("bob", "/slow")
    const isNoticed = () => alice.facts(bob)?.path === "relay"
    while (!isNoticed() && performance.now() - since < 6000) await new Promise((resolve) => setTimeout(resolve, 20))
    const ms = performance.now() - since
    assert.ok(ms > 1000 && ms < 4500, `${ms} ms`)
    assert.equal((await answer).status, 200)
    assert.equal(net.made, 2)
  })

  test("when the other server is a new one, what is safe is asked again by the relay, and what is not fails clearly", async (t) => {
    let isHeld = true
    const app: TabApp = {
      async fetch(request) {
        if (isHeld) await new Promise(() => undefined)
        return new Response(`${request.method} ${await request.text()}`)
      },
    }
    const world = new TestPeers()
    const net = new RtcNet()
    t.after(() => world.leave())
    const alice = await world.add({ name: "alice", app, rtc: net.machine() })
    const old = await world.add({ name: "bob", app, rtc: net.machine() })
    isHeld = false
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(old)
    isHeld = true
    const safe = alice.peers.fetch("bob", "/")
    const keyed = alice.peers.fetch("bob", "/", { method: "POST", body: "once", headers: { "idempotency-key": "1" } })
    const risky = alice.peers.fetch("bob", "/", { method: "POST", body: "once" })
    risky.catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 50))
    isHeld = false
    const bob = await world.add({ name: "bob", app, pair: old.pair, rtc: net.machine() })
    net.cut()
    assert.equal(await (await safe).text(), "GET ")
    assert.equal(await (await keyed).text(), "POST once")
    await assert.rejects(risky, (error: RdvError) => {
      assert.match(error.message, /direct way to "bob" was lost, and the request may have run/)
      return error.code === "link_lost"
    })
    await alice.isDirectTo(bob)
  })
})
