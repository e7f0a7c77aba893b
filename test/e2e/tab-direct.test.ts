/** Servers in Node that find each other by a real relay and then talk directly. */

import assert from "node:assert/strict"
import { networkInterfaces } from "node:os"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { silentLog } from "../../src/base/log.ts"
import type { TabApp } from "../../src/capabilities/tab/app/app.ts"
import type { TabEnv } from "../../src/capabilities/tab/app/env.ts"
import { visitorOf } from "../../src/capabilities/tab/app/visitor.ts"
import { openNodeEngine } from "../../src/capabilities/tab/node/sqlite-engine.ts"
import { startTab } from "../../src/start-tab.ts"
import type { RunningTab } from "../../src/start-tab.ts"
import { newKey, tabRelay } from "../kit/tab-relay.ts"
import type { TabRelay } from "../kit/tab-relay.ts"

const isAlone = !Object.values(networkInterfaces()).some((each) => each?.some(({ internal }) => !internal))
const isInstalled = await import("node-datachannel").then(
  () => true,
  () => false,
)
const skip = (isAlone && "WebRTC needs a network interface") || (!isInstalled && "node-datachannel is not installed")

interface Server {
  readonly tab: RunningTab
  readonly env: TabEnv
  /** The way to `name`. */
  wayTo(name: string): unknown
}

async function serverOf(t: TestContext, relay: TabRelay, name: string): Promise<Server> {
  let env: TabEnv | undefined
  const app: TabApp = {
    start: (given) => void (env = given),
    fetch: (request) => Response.json(visitorOf(request)),
  }
  const isPublic = Promise.withResolvers<void>()
  const tab = await startTab({
    engine: openNodeEngine(":memory:"),
    app,
    pair: await newKey(),
    port: 0,
    public: {
      relay: relay.at,
      name,
      token: undefined,
      app: undefined,
      domain: "localhost",
      ...(relay.tabs.stun !== undefined && { stun: relay.tabs.stun }),
      onExposed: () => isPublic.resolve(),
      onRefused: (error) => isPublic.reject(error),
    },
    log: silentLog,
    appLog: silentLog,
  })
  t.after(() => tab.stop())
  await isPublic.promise
  const peers = () => tab.status()["peers"] as { name: string; path: string }[]
  return { tab, env: env as TabEnv, wayTo: (peer) => peers().find((each) => each.name === peer)?.path }
}

test("two servers in Node meet at a relay, and the relay need not stay", { skip }, async (t) => {
  const relay = await tabRelay(t, { tabs: { stun: { host: "127.0.0.1", port: 0 } } })
  const alice = await serverOf(t, relay, "alice")
  const bob = await serverOf(t, relay, "bob")
  const asked = async () => (await alice.env.peers.fetch("bob", "/")).json()
  const visitor = { kind: "peer", peer: { name: "alice", key: alice.env.identity.key } }
  assert.deepEqual(await asked(), visitor)
  // An attempt may fail; who asks again gets another one.
  const until = performance.now() + 20_000
  while (alice.wayTo("bob") !== "direct" || bob.wayTo("alice") !== "direct") {
    if (performance.now() > until) assert.fail(JSON.stringify(alice.tab.status()["peers"]))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await asked()
  }
  await relay.running.stop()
  assert.deepEqual(await asked(), visitor)
})
