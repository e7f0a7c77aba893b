import assert from "node:assert/strict"
import { once } from "node:events"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { freePorts, isFree } from "../../../../test/kit/running-balancer.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log } from "../../../base/log.ts"
import { Door } from "./door.ts"

const backlog = { backlog: 16 }

async function door(t: TestContext, log: Log = silentLog) {
  const [port = 0] = await freePorts(1)
  const clock = new FakeClock()
  let came = 0
  const onSocket = (socket: Socket) => {
    came++
    socket.destroy()
  }
  const made = new Door({ host: "127.0.0.1", port, clock, log, noDelay: true, shared: false, onSocket })
  t.after(() => made.close())
  return { door: made, port, clock, came: () => came }
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1")
  try {
    await once(socket, "connect")
    return false
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

/** What the system has begun with an address is over. */
async function listened(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await settle()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test("a door that is opened again before it listens listens once", async (t) => {
  const { door: one, port } = await door(t)
  one.open(backlog)
  one.open(backlog)
  assert.equal(await one.up, true)
  await listened()
  assert.deepEqual(one.state, { address: `127.0.0.1:${port}`, state: "listening", error: undefined })
  one.close()
  await listened()
  assert.ok(await isFree(port))
})

test("a door that refuses before it has begun to listen does refuse, and opens again", async (t) => {
  const { door: one, port } = await door(t)
  one.open(backlog)
  one.refuse()
  await listened()
  assert.equal(one.state.state, "refusing")
  assert.ok(await isRefused(port))
  for (let round = 0; round < 5; round++) {
    one.open(backlog)
    one.refuse()
    one.refuse()
    one.open(backlog)
    await listened()
    assert.equal(one.state.state, "listening")
    assert.equal(await isRefused(port), false)
    one.refuse()
    assert.ok(await isRefused(port))
  }
})

test("a closed door stays closed, whoever opens it", async (t) => {
  const { door: one, port } = await door(t)
  one.open(backlog)
  await one.up
  one.close()
  one.open(backlog)
  one.refuse()
  await listened()
  assert.equal(one.state.state, "closed")
  assert.ok(await isFree(port))
})

test("a port that another one has is had as soon as it is free", async (t) => {
  const { door: first, port } = await door(t)
  first.open(backlog)
  await first.up
  const clock = new FakeClock()
  const options = { host: "127.0.0.1", port, clock, log: silentLog, noDelay: true, shared: false }
  const second = new Door({ ...options, onSocket: (socket) => socket.destroy() })
  t.after(() => second.close())
  second.open(backlog)
  assert.equal(await second.up, false)
  assert.equal(second.state.error, "another process has the port")
  first.close()
  clock.advance(1_000)
  await listened()
  assert.equal(second.state.state, "listening")
})
