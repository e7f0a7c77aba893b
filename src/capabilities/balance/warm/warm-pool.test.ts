import assert from "node:assert/strict"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { until } from "../../../../test/kit/processes.ts"
import type { TargetSettings } from "../config/settings.ts"
import type { JointEnd } from "../../../sockets/joint.ts"
import { Dial } from "../connection/dial.ts"
import { Target } from "../target/target.ts"
import { defaultTarget } from "../config/defaults.ts"
import { WarmPool } from "./warm-pool.ts"

interface Rig {
  readonly pool: WarmPool
  readonly target: Target
  readonly clock: FakeClock
  /** The target's ends, the oldest first; those that are gone as well. */
  readonly accepted: net.Socket[]
  readonly server: net.Server
  /** What was dialled. */
  readonly ends: JointEnd[]
  readonly told: { dialled: number; failed: number }
  isAwake: boolean
  /** Advances to the next look. */
  look(): void
  ready(count: number): Promise<void>
}

async function open(
  t: TestContext,
  changes: Partial<TargetSettings>,
  greet: (socket: net.Socket) => void = () => undefined,
): Promise<Rig> {
  const accepted: net.Socket[] = []
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined)
    socket.resume()
    accepted.push(socket)
    greet(socket)
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const { port } = server.address() as net.AddressInfo
  const clock = new FakeClock()
  const settings = { ...defaultTarget, address: { kind: "tcp" as const, host: "127.0.0.1", port }, ...changes }
  const target = new Target(settings, clock)
  const ends: JointEnd[] = []
  const told = { dialled: 0, failed: 0 }
  const name = {
    ready: async () => undefined,
    next: () => "127.0.0.1",
    failed: () => undefined,
    close: () => undefined,
  }
  const pool: WarmPool = new WarmPool({
    target,
    clock,
    random: { fraction: () => 0.5 },
    dial: (listener) =>
      new Dial({
        settings: target.settings,
        port: undefined,
        withEvents: false,
        name: { ...name, addresses: ["127.0.0.1"], error: undefined },
        callAgents: undefined,
        noDelay: true,
        preamble: undefined,
        secure: undefined,
        listener: {
          ...listener,
          dialled: (end) => {
            ends.push(end)
            listener.dialled(end)
          },
        },
      }),
    mayDial: () => rig.isAwake,
    connectMs: () => 4_000,
    onDialled: () => told.dialled++,
    onDialFailed: () => told.failed++,
  })
  t.after(() => {
    pool.stop()
    assert.equal(clock.pending, 0, "timers that nobody cancelled")
    server.close()
    for (const socket of accepted) socket.destroy()
  })
  const rig: Rig = {
    pool,
    target,
    clock,
    accepted,
    server,
    ends,
    told,
    isAwake: true,
    look: () => clock.advance(1_000),
    ready: async (count) =>
      void (await until(() => pool.length === count && living(accepted) === count, `${count} ready: ${pool.length}`)),
  }
  clock.advance(0)
  return rig
}

const living = (sockets: readonly net.Socket[]) =>
  sockets.filter(({ destroyed, readableEnded }) => !destroyed && !readableEnded).length

const deadline = { timeout: 20_000 }

test("as many as are wanted stand ready, and each that is taken is replaced", deadline, async (t) => {
  const { pool, accepted, ready, told } = await open(t, { warm: 3 })
  await ready(3)
  const taken = pool.take({ mayHaveSpoken: true })
  assert.ok(taken?.untried)
  assert.equal(taken.first, undefined)
  assert.equal(taken.stream.isPaused(), true)
  assert.equal(pool.length, 2)
  await until(() => pool.length === 3, "a replacement")
  assert.equal(accepted.length, 4)
  assert.equal(told.dialled, 4)
  taken.stream.destroy()
})

test("clients that find none make it grow, and a quiet time makes it shrink", deadline, async (t) => {
  const { pool, look, ready, clock } = await open(t, { warm: 2 })
  await ready(2)
  const taken = Array.from({ length: 5 }, () => pool.take({ mayHaveSpoken: true }))
  assert.equal(taken.filter((end) => end !== undefined).length, 2)
  for (const end of taken) end?.stream.destroy()
  await ready(5)
  for (let second = 0; second < 20; second++) look()
  assert.ok(clock.now() > 20_000)
  await ready(2)
})

test("one that its target ended or reset is never given away", deadline, async (t) => {
  const { pool, accepted, look, ready } = await open(t, { warm: 2 })
  await ready(2)
  look()
  look()
  accepted[0]?.end()
  accepted[1]?.resetAndDestroy()
  await until(() => accepted.length === 4, "two new ones")
  await until(() => pool.length === 2, "two ready")
  const { stream } = pool.take({ mayHaveSpoken: true }) as JointEnd
  assert.equal((stream as net.Socket).localPort, accepted[3]?.remotePort, "the newest")
  stream.destroy()
})

test("a target that ends them after a time has them replaced before that time from then on", deadline, async (t) => {
  const { pool, accepted, look, ready } = await open(t, { warm: 1 })
  await ready(1)
  for (let second = 0; second < 8; second++) look()
  accepted[0]?.end()
  await until(() => accepted.length === 2 && pool.length === 1, "a new one")
  let endedByUs = 0
  accepted[1]?.on("end", () => endedByUs++)
  for (let second = 0; second < 4; second++) look()
  assert.equal(pool.length, 1)
  assert.equal(accepted.length, 2)
  for (let second = 0; second < 3; second++) look()
  await until(() => endedByUs === 1 && accepted.length === 3 && pool.length === 1, "one more")
})

test("none is kept for longer than half a minute", deadline, async (t) => {
  const { accepted, look, ready, pool } = await open(t, { warm: 1 })
  await ready(1)
  for (let second = 0; second < 25; second++) look()
  assert.equal(accepted[0]?.readableEnded, false)
  look()
  look()
  await until(() => accepted.length === 2 && pool.length === 1, "a new one")
})

test("a greeting is kept for the client, and a long one is read up to a bound only", deadline, async (t) => {
  const greeting = Buffer.alloc(8 << 20, "abcdefghij")
  const { pool, accepted, ready, ends } = await open(t, { warm: 1 }, (socket) => socket.write(greeting))
  await ready(1)
  const [socket] = accepted as [net.Socket]
  await until(() => ends[0]?.stream.isPaused(), "that nothing is read any more")
  assert.ok(socket.writableLength > 0, "most of it waits at the target")
  const taken = pool.take({ mayHaveSpoken: true })
  const { first, stream, reader } = taken as NonNullable<typeof taken>
  const got = [first as Uint8Array]
  assert.ok((first as Uint8Array).length >= 16_384 && (first as Uint8Array).length <= 65_536)
  let length = (first as Uint8Array).length
  Object.assign(reader as object, {
    receive: (bytes: Uint8Array) => {
      got.push(Uint8Array.from(bytes))
      length += bytes.length
      return false
    },
  })
  stream.resume()
  await until(() => length >= greeting.length, "all of it")
  assert.ok(Buffer.concat(got).equals(greeting))
  stream.destroy()
})

test("one that has spoken is not given to who cannot pass that on", deadline, async (t) => {
  const { pool, ready } = await open(t, { warm: 1 }, (socket) => socket.write("hello"))
  await ready(1)
  await until(() => {
    const end = pool.take({ mayHaveSpoken: false })
    end?.stream.destroy()
    return end === undefined
  }, "a refusal")
})

test("nothing stands ready at a target that is out of use or asleep", deadline, async (t) => {
  const rig = await open(t, { warm: 2 })
  const { pool, target, ready, accepted, clock } = rig
  await ready(2)
  const states: [string, () => void, () => void][] = [
    ["down", () => (target.healthy = false), () => (target.healthy = true)],
    ["ejected", () => (target.ejectedUntil = clock.now() + 1_000), () => (target.ejectedUntil = 0)],
    ["drained", () => (target.orders = "drain"), () => (target.orders = "serve")],
    ["disabled", () => (target.orders = "disable"), () => (target.orders = "serve")],
    ["cut off", () => (target.open = true), () => (target.open = false)],
    ["asleep", () => (rig.isAwake = false), () => (rig.isAwake = true)],
    ["removed", () => (target.removed = true), () => (target.removed = false)],
  ]
  for (const [state, out, back] of states) {
    out()
    pool.refresh()
    assert.equal(pool.length, 0, state)
    assert.equal(pool.take({ mayHaveSpoken: true }), undefined, state)
    await until(() => living(accepted) === 0, `an end at the target: ${state}`)
    back()
    pool.refresh()
    await ready(2)
  }
})

test("with those that clients have, there are never more than the target may have", deadline, async (t) => {
  const { pool, target, ready } = await open(t, { warm: 4, maxConnections: 6 })
  await ready(4)
  target.active = 4
  pool.refresh()
  assert.equal(pool.length, 2)
  target.pending++
  const taken = pool.take({ mayHaveSpoken: true })
  assert.ok(taken)
  assert.equal(pool.length, 1)
  taken.stream.destroy()
  target.active = 0
  target.pending = 0
  pool.refresh()
  await ready(4)
})

test(
  "dials that fail together are told once, and then one is tried at a time, ever more seldom",
  deadline,
  async (t) => {
    const { pool, server, accepted, ready, told, look, clock } = await open(t, { warm: 4 })
    await ready(4)
    look()
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of accepted) socket.resetAndDestroy()
    })
    await until(() => pool.length === 0 && told.failed === 1, "a failure")
    const started = clock.now()
    for (let attempt = 2; attempt <= 5; attempt++) {
      await until(() => {
        if (told.failed < attempt) look()
        return told.failed >= attempt
      }, `failure ${attempt}`)
    }
    assert.ok(clock.now() - started >= (1 + 2 + 4 + 8) * 500, "back-off")
    assert.equal(told.dialled, 4)
  },
)

test("a target that ends each connection at once is not dialled in a loop, and not blamed", deadline, async (t) => {
  const { accepted, told, look } = await open(t, { warm: 4 }, (socket) => socket.end("bye"))
  await until(() => accepted.length === 4 && living(accepted) === 0, "four in vain")
  for (let second = 0; second < 10; second++) {
    look()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.ok(accepted.length < 10, `${accepted.length} dials`)
  assert.equal(told.failed, 0)
})

test("stopped or cleared, it has ended all that it had", deadline, async (t) => {
  const { pool, accepted, ready, look } = await open(t, { warm: 3 })
  await ready(3)
  pool.clear()
  await until(() => living(accepted) === 0, "their ends")
  pool.refresh()
  await ready(3)
  pool.stop()
  await until(() => living(accepted) === 0, "their ends")
  look()
  pool.refresh()
  assert.equal(pool.take({ mayHaveSpoken: true }), undefined)
  assert.equal(accepted.length, 6)
})
