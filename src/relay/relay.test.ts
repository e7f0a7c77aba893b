import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { eventually, rawClient } from "../../test/kit/raw-http.ts"
import type { RawClient } from "../../test/kit/raw-http.ts"
import { silentLog } from "../base/log.ts"
import { startAgent, startRelay } from "../node.ts"
import type { RelayLimits } from "./limits.ts"

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
