import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { eventually } from "../../../../test/kit/raw-http.ts"
import { TestPeers } from "../../../../test/kit/peer-pair.ts"
import type { Tamper, TestPeer } from "../../../../test/kit/peer-pair.ts"
import { RtcNet } from "../../../../test/kit/rtc-net.ts"
import { newKey } from "../../../../test/kit/tab-relay.ts"
import { streamPair } from "../../../../test/kit/stream-pair.ts"
import type { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { TabApp } from "../app/app.ts"
import { SignalTalk } from "./signal-talk.ts"
import {
  descriptionBlock,
  messageBytesOf,
  newHalf,
  readCallHeader,
  readDescription,
  readHello,
} from "./signal-words.ts"
import type { SignalParty } from "./signal-words.ts"

const app: TabApp = { fetch: () => new Response("hello") }

interface Tried {
  readonly alice: TestPeer
  readonly bob: TestPeer
  readonly net: RtcNet
  /** Codes of the attempts that failed, at whoever. */
  readonly codes: unknown[]
}

/** Alice wants Bob by way of a relay that does as it likes. */
async function tried(t: TestContext, tamper: Tamper): Promise<Tried> {
  const [world, net] = [new TestPeers(), new RtcNet()]
  t.after(() => world.leave())
  const alice = await world.add({ name: "alice", app, rtc: net.machine() })
  const bob = await world.add({ name: "bob", app, rtc: net.machine() })
  world.tamper = tamper
  assert.equal(await (await alice.peers.fetch("bob", "/")).text(), "hello")
  const failures = () => [...alice.lines, ...bob.lines].filter(({ event }) => event === "tab.peer_not_direct")
  await eventually("it has come to an end", () => failures().length > 0 || alice.facts(bob)?.path === "direct")
  assert.equal(await (await alice.peers.fetch("bob", "/")).text(), "hello")
  return { alice, bob, net, codes: failures().map(({ fields }) => fields["code"]) }
}

describe("a relay that cannot be trusted", () => {
  test("puts no fingerprint of its own into an offer or an answer", async (t) => {
    for (const kind of ["offer", "answer"]) {
      const { alice, bob, net, codes } = await tried(t, (block) =>
        block["do"] === kind ? { ...block, sdp: String(block["sdp"]).replace("FINGER", "THUMB") } : block,
      )
      assert.ok(codes.includes("forbidden"), codes.join())
      assert.deepEqual([alice.facts(bob)?.path, net.made], ["relay", 0])
    }
  })

  test("signs nothing in their names", async (t) => {
    const forge: Tamper = (block) =>
      block["signature"] === undefined ? block : { ...block, signature: "A".repeat(86) }
    const { codes, net } = await tried(t, forge)
    assert.ok(codes.includes("forbidden"))
    assert.equal(net.made, 0)
  })

  test("changes neither what they have drawn nor the session that they mean", async (t) => {
    for (const change of [{ half: newHalf() }, { session: "another" }]) {
      const { codes, net } = await tried(t, (block) => (block["half"] === undefined ? block : { ...block, ...change }))
      assert.ok(codes.includes("forbidden"), codes.join())
      assert.equal(net.made, 0)
    }
  })

  test("says an older talk again in vain", async (t) => {
    const [world, net] = [new TestPeers(), new RtcNet()]
    t.after(() => world.leave())
    const alice = await world.add({ name: "alice", app, rtc: net.machine() })
    const bob = await world.add({ name: "bob", app, rtc: net.machine() })
    const heard = new Map<unknown, JsonObject>()
    world.tamper = (block) => {
      if (block["signature"] !== undefined) heard.set(block["do"], block)
      return block
    }
    await alice.peers.fetch("bob", "/")
    await alice.isDirectTo(bob)
    world.leave()
    await eventually("nothing is open", () => net.open === 0)
    world.tamper = (block) => heard.get(block["do"]) ?? block
    await alice.peers.fetch("bob", "/")
    const failed = () => [...alice.lines, ...bob.lines].filter(({ event }) => event === "tab.peer_not_direct")
    await eventually("it failed", () => failed().length > 0)
    assert.ok(failed().some(({ fields }) => fields["code"] === "forbidden"))
    assert.equal(net.made, 1)
  })

  test("who puts its own key in the place of a known one is noticed", async (t) => {
    const kept: JsonObject[] = []
    const known = await newKey()
    const keptKeys = {
      load: async () => ({ alice: known.key }),
      save: async (keys: JsonObject) => void kept.push(keys),
    }
    const [world, net] = [new TestPeers(), new RtcNet()]
    t.after(() => world.leave())
    const alice = await world.add({ name: "alice", app, rtc: net.machine() })
    const bob = await world.add({ name: "bob", app, rtc: net.machine(), keptKeys })
    await alice.peers.fetch("bob", "/")
    await eventually("it is told", () => bob.lines.some(({ event }) => event === "tab.peer_key_changed"))
    const line = bob.lines.find(({ event }) => event === "tab.peer_key_changed")
    assert.deepEqual(line?.fields, { name: "alice", key: alice.pair.key, former: known.key })
    assert.equal(bob.facts(alice)?.formerKey, known.key)
    assert.deepEqual(kept, [{ alice: alice.pair.key }])
  })

  test("candidates without end end the talk", async () => {
    const { a, b } = streamPair("tab/peer", {})
    const talk = new SignalTalk(a)
    const next = talk.next()
    const far = new Promise<RdvError | undefined>((resolve) => {
      const ignore = () => undefined
      b.attach({ data: ignore, meta: ignore, end: ignore, drain: ignore, closed: resolve })
    })
    for (let count = 0; count < 100; count++) b.meta({ do: "candidate", candidate: "x", mid: "0" })
    await assert.rejects(next, { code: "limit" })
    assert.equal((await far)?.code, "limit")
  })
})

describe("what is signed", () => {
  test("is good for this offer, these two, in this direction, and this time alone", async () => {
    const [one, other] = [await newKey(), await newKey()]
    const by: SignalParty = { name: "alice", key: one.key, half: newHalf(), session: "" }
    const to: SignalParty = { name: "bob", key: other.key, half: newHalf(), session: "s" }
    const block = await descriptionBlock(one, { kind: "offer", sdp: "v=0", by, to })
    assert.equal(await readDescription(block, { kind: "offer", by, to }), "v=0")
    const wrong: (readonly [JsonObject, SignalParty, SignalParty])[] = [
      [{ ...block, sdp: "v=1" }, by, to],
      [block, { ...by, name: "carol" }, to],
      [block, by, { ...to, name: "carol" }],
      [block, by, { ...to, key: one.key }],
      [block, { ...by, half: newHalf() }, to],
      [block, by, { ...to, half: newHalf() }],
      [block, { ...by, session: "s" }, to],
      [block, by, { ...to, session: "" }],
      [block, { ...by, key: other.key }, to],
      [block, to, by],
      // One fact's end is not another one's beginning.
      [block, { ...by, name: "alic" }, { ...to, name: "ebob" }],
    ]
    for (const [said, from, whom] of wrong) {
      await assert.rejects(readDescription(said, { kind: "offer", by: from, to: whom }), { code: "forbidden" })
    }
    await assert.rejects(readDescription({ ...block, do: "answer" }, { kind: "answer", by, to }), { code: "forbidden" })
    await assert.rejects(readDescription(block, { kind: "answer", by, to }), { code: "protocol" })
  })

  test("whatever is no signal is refused by name", async () => {
    const good = { half: newHalf(), session: "" }
    assert.deepEqual(readCallHeader({ kind: "signal", version: 1, ...good }), good)
    for (const wrong of [{ half: "x" }, { half: 7 }, { session: 7 }, { session: "x".repeat(101) }, { session: "\0" }]) {
      assert.throws(() => readCallHeader({ version: 1, ...good, ...wrong } as JsonObject), { code: "protocol" })
    }
    assert.throws(() => readCallHeader({ version: 2, ...good }), { code: "version" })
    assert.throws(() => readHello({ do: "hello", key: "short", ...good }), { code: "protocol" })
  })

  test("a message is as long as the other side takes, and 64 KiB at most", () => {
    const sdp = (line: string) => `v=0\r\n${line}\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n`
    assert.equal(messageBytesOf(sdp("a=max-message-size:262144")), 65_536)
    assert.equal(messageBytesOf(sdp("a=max-message-size:1200")), 1200)
    assert.equal(messageBytesOf(sdp("a=max-message-size:0")), 65_536)
    assert.equal(messageBytesOf(sdp("a=x")), 65_536)
  })
})
