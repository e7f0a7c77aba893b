import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Clock } from "../base/clock.ts"
import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import { linkSuite } from "../../test/suites/link-suite.ts"
import type { Link } from "../mux/link.ts"
import { memoryNetwork, memoryPair } from "./memory.ts"

linkSuite("memory", async () => {
  const { a, b } = memoryPair(systemClock, { poison: true })
  return { near: a, far: b }
})

linkSuite(
  "slow and chopped memory",
  async () => {
    const { a, b } = memoryPair(systemClock, { delayMs: 2, bytesPerSecond: 4e8, splitBytes: 1000, windowBytes: 65536 })
    return { near: a, far: b }
  },
  { bulkBytes: 1048576 },
)

describe("memory", () => {
  test("a delay and a rate follow the clock that was passed in", async () => {
    const clock = manualClock()
    const { a, b } = memoryPair(clock, { delayMs: 100, bytesPerSecond: 1000 })
    const log = listen(b)
    listen(a)
    a.send([bytes("x".repeat(50)), bytes("y".repeat(50))])
    await settle()
    clock.advance(149)
    await settle()
    assert.deepEqual(log, [])
    clock.advance(1)
    await settle()
    assert.deepEqual(log, ["x".repeat(50)])
    clock.advance(50)
    await settle()
    assert.deepEqual(log, ["x".repeat(50), "y".repeat(50)])
  })

  test("a blocked pair is silent, and delivers everything once unblocked", async () => {
    const pair = memoryPair(manualClock(), { bufferBytes: 10 })
    const atA = listen(pair.a)
    const atB = listen(pair.b)
    pair.block()
    assert.equal(pair.a.send([bytes("0123456789")]), false)
    pair.b.send([bytes("back")])
    await settle()
    assert.deepEqual([atA, atB], [[], []])
    assert.equal(pair.a.queuedBytes, 10)
    pair.unblock()
    await settle()
    assert.deepEqual(atA, ["drain", "back"])
    assert.deepEqual(atB, ["0123456789"])
  })

  test("an abort behind a black hole is felt by the peer only when it is over", async () => {
    const pair = memoryPair(manualClock())
    const atA = listen(pair.a)
    const atB = listen(pair.b)
    pair.block()
    pair.a.abort(new RdvError("timeout"))
    await settle()
    assert.deepEqual([atA, atB], [["closed timeout"], []])
    pair.unblock()
    await settle()
    assert.deepEqual(atB, ["closed link_lost"])
  })

  test("a cut drops what is on the way and tells both ends", async () => {
    const clock = manualClock()
    const pair = memoryPair(clock, { delayMs: 10 })
    const atA = listen(pair.a)
    const atB = listen(pair.b)
    pair.a.send([bytes("lost")])
    await settle()
    pair.cut()
    clock.advance(1000)
    await settle()
    assert.deepEqual(atA, ["closed link_lost"])
    assert.deepEqual(atB, ["closed link_lost"])
  })

  test("exactly the asked byte is corrupted, and the sender's memory is not", async () => {
    const pair = memoryPair(manualClock(), { splitBytes: 2 })
    const atB = listen(pair.b)
    listen(pair.a)
    const sent = bytes("AAAAAA")
    pair.corruptNext(3)
    pair.a.send([sent])
    await settle()
    assert.equal(atB.join(""), "AAAQAA")
    assert.equal(new TextDecoder().decode(sent), "AAAAAA")
  })

  test("a network connects by name", async () => {
    const network = memoryNetwork(manualClock())
    const accepted: Link[] = []
    const listener = network.listen("relay", (link) => accepted.push(link))
    assert.throws(() => network.listen("relay", () => undefined), { code: "in_use" })
    const near = await network.dial(listener.address, { timeoutMs: 1 })
    assert.equal(near.peer, "memory:relay")
    assert.equal(accepted.length, 1)
    assert.equal(network.pairs.length, 1)
    await listener.close()
    await assert.rejects(network.dial(listener.address, { timeoutMs: 1 }), { code: "unreachable" })
  })
})

function listen(link: Link): string[] {
  const log: string[] = []
  link.attach({
    data: (received) => (log.push(new TextDecoder().decode(received)), false),
    drain: () => void log.push("drain"),
    closed: (error) => void log.push(`closed ${error?.code}`),
  })
  return log
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

function manualClock(): Clock & { advance(ms: number): void } {
  let now = 0
  let timers: { due: number; callback: () => void }[] = []
  return {
    now: () => now,
    wall: () => now,
    after(delayMs, callback) {
      const timer = { due: now + delayMs, callback }
      timers.push(timer)
      return { cancel: () => void (timers = timers.filter((other) => other !== timer)) }
    },
    advance(ms) {
      now += ms
      const due = timers.filter((timer) => timer.due <= now).toSorted((a, b) => a.due - b.due)
      timers = timers.filter((timer) => timer.due > now)
      for (const timer of due) timer.callback()
    },
  }
}
