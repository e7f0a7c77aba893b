import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { defaultApp, defaultSettings } from "../config/defaults.ts"
import type { Settings } from "../config/settings.ts"
import { Shaper } from "../bandwidth/shaper.ts"
import type { Flow } from "../bandwidth/shaper.ts"
import { CapDesk, demandsMs } from "./cap-desk.ts"

const none = { up: undefined, down: undefined }

function capped({ app, client }: { readonly app?: number; readonly client?: number }): Settings {
  const limit = (up: number | undefined) => ({ up, down: undefined })
  const bandwidth = { connection: none, client: limit(client), app: limit(app) }
  return { ...defaultSettings, apps: [{ ...defaultApp, name: "web", listeners: [], targets: [], bandwidth }] }
}

/** Loops 1 to N, and the desk between them; the keeper has no clients. */
function setUp(settings: Settings, count: number) {
  const clock = new FakeClock()
  const shapers = Array.from({ length: count }, () => new Shaper({ clock, settings, share: 1 / count }))
  const keeper = { settings, bandwidth: new Shaper({ clock, settings, share: 1 / count }) }
  const desk = new CapDesk({
    clock,
    loops: count + 1,
    tell: (loop, parts) => shapers[loop - 1]?.divide(parts),
    keeper,
  })
  const report = () => {
    for (const [at, shaper] of shapers.entries()) desk.take(at + 1, shaper.demands())
    clock.after(demandsMs, report)
  }
  clock.after(demandsMs, report)
  return { clock, shapers }
}

/** Reads as fast as it may. */
class Reader {
  got = 0
  readonly #clock: FakeClock
  readonly #flow: Flow

  constructor(clock: FakeClock, shaper: Shaper | undefined, client: string) {
    this.#clock = clock
    const resume = () => this.#soon()
    const flow = shaper?.open({ client, app: "web", tier: undefined, direction: "up", resume })
    assert(flow !== undefined)
    this.#flow = flow
    if (flow.spend(0)) this.#soon()
  }

  close(): void {
    this.#flow.close()
  }

  #soon(): void {
    this.#clock.after(0.2, () => {
      const bytes = Math.min(65_536, this.#flow.piece)
      this.got += bytes
      if (this.#flow.spend(bytes)) this.#soon()
    })
  }
}

function ratesOf(clock: FakeClock, readers: readonly Reader[], seconds: number): number[] {
  clock.advance(2_000)
  const before = readers.map(({ got }) => got)
  clock.advance(seconds * 1_000)
  return readers.map(({ got }, at) => (got - (before[at] as number)) / seconds)
}

function near(actual: number, expected: number, share: number, what: string): void {
  assert.ok(
    Math.abs(actual - expected) <= expected * share,
    `${what}: ${actual.toFixed(0)}, not ${expected.toFixed(0)}`,
  )
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((so, each) => so + each, 0)
}

test("a cap holds over loops, and one client with many connections in both has one share", () => {
  const cap = 1_000_000
  const { clock, shapers } = setUp(capped({ app: cap }), 2)
  const greedy = Array.from({ length: 8 }, (_, at) => new Reader(clock, shapers[at % 2], "greedy"))
  const light = Array.from({ length: 20 }, (_, at) => new Reader(clock, shapers[at % 3 === 0 ? 0 : 1], `light ${at}`))
  const rates = ratesOf(clock, [...greedy, ...light], 20)
  near(sum(rates), cap, 0.03, "all")
  near(sum(rates.slice(0, 8)), cap / 21, 0.1, "greedy")
  for (const rate of rates.slice(8)) near(rate, cap / 21, 0.1, "light")
})

test("a loop with nobody leaves its part to the others, and has it back when somebody comes", () => {
  const cap = 1_000_000
  const { clock, shapers } = setUp(capped({ app: cap }), 3)
  const alone = [new Reader(clock, shapers[0], "a"), new Reader(clock, shapers[0], "b")]
  near(sum(ratesOf(clock, alone, 5)), cap, 0.03, "one loop")
  const more = [...alone, new Reader(clock, shapers[1], "c"), new Reader(clock, shapers[2], "d")]
  const rates = ratesOf(clock, more, 10)
  near(sum(rates), cap, 0.03, "three loops")
  for (const rate of rates) near(rate, cap / 4, 0.1, "each")
})

test("a client's rate is one over all loops, and whole again where it is alone", () => {
  const rate = 100_000
  const { clock, shapers } = setUp(capped({ client: rate }), 2)
  const readers = [0, 1, 1].map((loop) => new Reader(clock, shapers[loop], "a"))
  const other = new Reader(clock, shapers[0], "b")
  const rates = ratesOf(clock, [...readers, other], 20)
  near(sum(rates.slice(0, 3)), rate, 0.05, "in two loops")
  near(rates[3] as number, rate, 0.05, "in one loop")
  for (const reader of readers.slice(1)) reader.close()
  near(sum(ratesOf(clock, readers.slice(0, 1), 10)), rate, 0.05, "alone again")
})

test("a loop that is started again is told its part, though nothing else has changed", () => {
  const cap = 1_000_000
  const settings = capped({ app: cap })
  const clock = new FakeClock()
  const keeper = { settings, bandwidth: new Shaper({ clock, settings, share: 0.5 }) }
  const told: [loop: number, share: number][] = []
  const desk = new CapDesk({
    clock,
    loops: 3,
    tell: (loop, parts) => told.push(...parts.map(({ share }): [number, number] => [loop, share])),
    keeper,
  })
  const demand = { cap: "up app web", rate: cap, used: cap, hungry: true, members: [["a", 1]] as const }
  const look = () => {
    told.length = 0
    desk.take(1, [demand])
    clock.advance(demandsMs)
    return told.toSorted(([one], [two]) => one - two)
  }
  assert.deepEqual(look(), [
    [1, 1],
    [2, 0.05],
  ])
  assert.deepEqual(look(), [])
  desk.gone(2)
  assert.deepEqual(look(), [[2, 0.05]])
  desk.stop()
})
