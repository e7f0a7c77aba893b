import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import { eventually, rawClient } from "../../test/kit/raw-http.ts"
import type { RawClient } from "../../test/kit/raw-http.ts"
import { testRuntime } from "../../test/kit/session-pair.ts"
import { RdvError } from "../base/error.ts"
import { silentLog } from "../base/log.ts"
import type { Log } from "../base/log.ts"
import { createScope } from "../base/scope.ts"
import { defaultLimits } from "../mux/limits.ts"
import { startAgent, startRelay } from "../node.ts"
import { openSqliteStore } from "../store/sqlite-store.ts"
import { defaultRelayLimits } from "./limits.ts"
import type { RelayLimits } from "./limits.ts"
import { Relay } from "./relay.ts"

/** A relay on loopback, and strangers at its door. */
async function relayWith(t: TestContext, limits: Partial<RelayLimits>) {
  const running = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", open: true, log: silentLog, limits })
  t.after(() => running.stop())
  const [address] = running.addresses
  assert.ok(address !== undefined && "port" in address)
  const { port } = address
  const strangers: RawClient[] = []
  t.after(() => strangers.forEach(({ socket }) => socket.destroy()))
  return {
    port,
    strangers,
    async stranger(says?: Uint8Array) {
      const client = await rawClient(port)
      strangers.push(client)
      if (says !== undefined) await client.send(says)
    },
  }
}

test("strangers that begin a handshake and wait keep no agent out", async (t) => {
  const { port, strangers, stranger } = await relayWith(t, { handshakes: 4 })
  for (let count = 0; count < 8; count++) await stranger(Uint8Array.of(0x10))
  await eventually("the oldest are turned away", () => strangers.slice(0, 4).every(({ closed }) => closed))
  assert.ok(strangers.slice(4).every(({ closed }) => !closed))
  let up = false
  const agent = startAgent({
    relay: `127.0.0.1:${port}`,
    log: silentLog,
    onEvent: (event) => (up ||= event.kind === "up"),
  })
  t.after(() => agent.stop())
  await eventually("the agent is in", () => up, 2_000)
})

test("strangers that say nothing are bounded, and keep no visitor out", async (t) => {
  const { strangers, stranger } = await relayWith(t, { silent: 4 })
  for (let count = 0; count < 8; count++) await stranger()
  await Promise.all(strangers.slice(0, 4).map((client) => client.rest()))
  for (const visitor of strangers.slice(4)) {
    void visitor.send("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
    assert.equal((await visitor.answer()).status, 404)
  }
})

test("a store that fails for a while costs one warning, and what changed meanwhile is seen later", async () => {
  const clock = new FakeClock()
  const warnings: string[] = []
  const log: Log = { ...silentLog, warn: (event) => void warnings.push(event) }
  const store = openSqliteStore({ path: ":memory:", clock, log })
  let looks = 0
  let fails = false
  const scope = createScope({ name: "relay", clock, onFailure: () => undefined })
  new Relay({
    scope,
    runtime: { ...testRuntime, clock, log },
    store: Object.assign(Object.create(store) as typeof store, {
      outsideChanges: () => (fails ? 1 : 0),
      listTokens() {
        looks++
        if (fails) throw new RdvError("corrupt", "The store is damaged")
        return []
      },
    }),
    domain: "test",
    tcpHost: "127.0.0.1",
    open: false,
    limits: defaultRelayLimits,
    sessionLimits: defaultLimits,
    httpUrl: String,
    tcpUrl: String,
  })
  fails = true
  clock.advance(3_000)
  assert.deepEqual([looks, warnings], [3, ["store.failed"]])
  fails = false
  clock.advance(31_000)
  assert.equal(looks, 4)
  fails = true
  clock.advance(1_000)
  assert.deepEqual(warnings, ["store.failed", "store.failed"])
  await scope.stop()
  store.close()
  assert.equal(clock.pending, 0)
})
