import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { networkInterfaces } from "node:os"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { TestPeers } from "../../../../test/kit/peer-pair.ts"
import type { TestPeer } from "../../../../test/kit/peer-pair.ts"
import { eventually } from "../../../../test/kit/raw-http.ts"
import { silentLog } from "../../../base/log.ts"
import type { TabApp } from "../app/app.ts"
import { nodeRtc } from "./rtc.ts"

const skip = await whyNot()

async function whyNot(): Promise<string | false> {
  const isAlone = !Object.values(networkInterfaces()).some((each) => each?.some(({ internal }) => !internal))
  if (isAlone) return "WebRTC needs a network interface"
  return import("node-datachannel").then(
    () => false,
    () => "node-datachannel is not installed",
  )
}

const app: TabApp = { fetch: (request) => new Response(request.body ?? "hello") }

async function two(t: TestContext): Promise<{ world: TestPeers; alice: TestPeer; bob: TestPeer }> {
  const world = new TestPeers()
  t.after(() => world.leave())
  const rtc = () => nodeRtc({ stun: undefined, log: silentLog })
  const alice = await world.add({ name: "alice", app, rtc: rtc() })
  const bob = await world.add({ name: "bob", app, rtc: rtc() })
  return { world, alice, bob }
}

describe("servers in Node", { skip }, () => {
  test("talk directly, megabytes too, and what is left behind is nothing", async (t) => {
    const { world, alice, bob } = await two(t)
    assert.equal(await (await alice.peers.fetch("bob", "/")).text(), "hello")
    await alice.isDirectTo(bob)
    await bob.isDirectTo(alice)
    const calls = world.calls.length
    const bytes = randomBytes(20_000_000)
    const from = performance.now()
    const answer = await alice.peers.fetch("bob", "/", { method: "POST", body: bytes })
    const hash = createHash("sha256").update(Buffer.from(await answer.arrayBuffer()))
    assert.equal(hash.digest("hex"), createHash("sha256").update(bytes).digest("hex"))
    t.diagnostic(`${(40_000 / (performance.now() - from)).toFixed(0)} MB/s`)
    assert.equal(world.calls.length, calls)
    bob.peers.leave()
    await eventually("alice knows", () => alice.facts(bob)?.path === "relay")
    assert.equal(await (await alice.peers.fetch("bob", "/")).text(), "hello")
    await alice.isDirectTo(bob)
  })
})
