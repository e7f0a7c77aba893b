/** A relay in this process with sessions of several owners, over real sockets on loopback. */

import assert from "node:assert/strict"
import type { TestContext } from "node:test"
import { silentLog } from "../../src/base/log.ts"
import { startAgent, startRelay } from "../../src/node.ts"
import type { RunningAgent, RunningRelay } from "../../src/node.ts"

/** Open to all; ends with the test. */
export async function localRelay(t: TestContext): Promise<RunningRelay> {
  const relay = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", open: true, log: silentLog })
  t.after(() => relay.stop())
  return relay
}

/** Whom a session belongs to. */
export interface Identity {
  readonly token?: string
  readonly instance?: string
}

/** An agent with a session; ends with the test. */
export async function localAgent(t: TestContext, relay: RunningRelay, identity: Identity): Promise<RunningAgent> {
  const [address] = relay.addresses
  assert.ok(address !== undefined && "port" in address)
  const up = Promise.withResolvers<void>()
  const agent = startAgent({
    relay: `127.0.0.1:${address.port}`,
    ...identity,
    log: silentLog,
    // The session stands when this round of events is over.
    onEvent: ({ kind }) => kind === "up" && setImmediate(up.resolve),
  })
  t.after(() => agent.stop())
  await up.promise
  return agent
}
