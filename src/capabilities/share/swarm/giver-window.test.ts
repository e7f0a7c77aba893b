import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { SwarmSimulation } from "../../../../test/kit/swarm-simulation.ts"
import type { SimulationOptions } from "../../../../test/kit/swarm-simulation.ts"
import { GiverWindow } from "./giver-window.ts"

const MB = 1e6
const chunkBytes = 262_144

interface Facts extends Partial<SimulationOptions> {
  readonly receivers: number
  readonly isDeclared?: boolean
}

/** Directly alone, with 20 MB/s each. How long it took and the least that it could have taken, ms. */
async function timed({ receivers, isDeclared = false, chunks = 400, ...options }: Facts) {
  const simulation = new SwarmSimulation({ chunks, relayUp: 1, manifestChunks: 0, windowBytes: 32 << 20, ...options })
  simulation.add("sender", { full: true, up: 20 * MB })
  for (let at = 0; at < receivers; at++) simulation.add(`r${at}`, { up: 20 * MB })
  for (const name of simulation.members.keys()) {
    simulation.scheduler.relayPath(name, "down")
    if (isDeclared) simulation.scheduler.uplink(name, 20 * MB)
  }
  simulation.scheduler.carrier("direct")
  simulation.mesh(receivers > 16 ? 48 : Infinity)
  const took = await simulation.run()
  const bytes = chunks * chunkBytes
  const bound = Math.max(bytes / (20 * MB), (receivers * bytes) / (20 * MB * (receivers + 1))) * 1_000
  return { took, bound }
}

for (const receivers of [1, 10, 50]) {
  for (const reportMs of receivers === 50 ? [60] : [2, 20, 60, 150]) {
    test(`${receivers} receivers that are ${3 * reportMs} ms away keep all uplinks busy, but for the first few round trips`, async () => {
      const { took, bound } = await timed({ receivers, reportMs })
      assert.ok(took <= bound * 1.1 + 7 * 3 * reportMs, `${(took / bound).toFixed(2)} of the bound`)
      if (receivers === 50) return
      const declared = await timed({ receivers, reportMs, isDeclared: true })
      assert.ok(declared.took <= bound * 1.1 + 6 * 3 * reportMs, `${(declared.took / bound).toFixed(2)} of the bound`)
    })
  }
}

test("far away, half a gigabyte takes hardly longer than it must", async () => {
  const { took, bound } = await timed({ receivers: 10, reportMs: 150, chunks: 2_000 })
  assert.ok(took <= bound * 1.25, `${(took / bound).toFixed(2)} of the bound`)
})

test("reports that come early and late, and what is lost, do not let the windows collapse", async () => {
  for (const reportMs of [20, 60]) {
    const { took, bound } = await timed({ receivers: 10, reportMs, chunks: 800, jitter: 2, failing: 0.03 })
    assert.ok(took <= bound * 1.6, `${(took / bound).toFixed(2)} of the bound`)
  }
})

/** A holder that answers everything in order, and is asked for as much as the window allows. */
class Giver {
  readonly clock: FakeClock = new FakeClock()
  readonly window: GiverWindow
  /** bytes/ms. */
  rate: number
  farMs: number
  #freeAt = 0
  #bytes = 0
  #served = 0

  constructor(rate: number, farMs: number) {
    const sizes = { leastBytes: 512 * 1024, mostBytes: 32 << 20 }
    this.window = new GiverWindow({ clock: this.clock, ...sizes })
    this.rate = rate
    this.farMs = farMs
  }

  async run(ms: number): Promise<void> {
    for (const end = this.clock.now() + ms; this.clock.now() < end; this.clock.advance(1)) this.#ask()
  }

  #ask(): void {
    while (this.#bytes === 0 || this.#bytes + chunkBytes <= this.window.bytes(this.#bytes)) {
      const order = { since: this.clock.now(), ahead: this.#bytes, served: this.#served }
      if (this.#bytes === 0) this.window.began()
      this.#bytes += chunkBytes
      this.#freeAt = Math.max(this.clock.now(), this.#freeAt) + chunkBytes / this.rate
      this.clock.after(this.#freeAt + this.farMs - this.clock.now(), () => {
        this.#bytes -= chunkBytes
        this.#served += chunkBytes
        this.window.done(chunkBytes, order, this.#served - order.served)
      })
    }
    this.window.refused()
  }

  get bytes(): number {
    return this.window.bytes(this.#bytes)
  }
}

test("a window is as large as rate and distance ask for, and stays so", async () => {
  for (const [rate, farMs] of [
    [20_000, 10],
    [20_000, 300],
    [2_000, 100],
  ] as const) {
    const giver = new Giver(rate, farMs)
    await giver.run(6_000)
    for (let second = 0; second < 20; second++) {
      await giver.run(1_000)
      const ms = giver.bytes / rate
      assert.ok(ms > farMs * 0.8 && ms < farMs * 2 + 500, `${ms.toFixed(0)} ms of work for ${farMs}`)
    }
  }
})

test("a holder that becomes slow loses its window, and has it back when it is fast again", async () => {
  const giver = new Giver(20_000, 50)
  await giver.run(4_000)
  const before = giver.bytes
  assert.ok(before > 3 * MB)
  giver.rate = 1_000
  await giver.run(8_000)
  assert.ok(giver.bytes < before / 4, `${giver.bytes} of ${before}`)
  giver.rate = 20_000
  await giver.run(4_000)
  assert.ok(giver.bytes > before / 2, `${giver.bytes} of ${before}`)
})

test("a holder that says nothing any more is asked for little within a second, whatever it has declared", () => {
  const clock = new FakeClock()
  const window = new GiverWindow({ clock, leastBytes: 1_000, mostBytes: 1 << 20 })
  window.limit = 100
  window.began()
  clock.advance(10)
  window.done(2_000, { since: clock.now() - 10, ahead: 11_000, served: 0 }, 2_000)
  assert.ok(window.bytes(7_000) >= 8_000)
  clock.advance(1_000)
  assert.equal(window.bytes(7_000), 1_000)
})
