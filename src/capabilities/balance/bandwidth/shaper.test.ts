import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { TierSettings } from "../config/settings.ts"
import { Shaper } from "./shaper.ts"
import type { Flow, FlowOptions, ShaperSettings } from "./shaper.ts"

interface Rates {
  readonly connection?: number
  readonly client?: number
  readonly app?: number
}

function app(name: string, { connection, client, app }: Rates = {}): ShaperSettings["apps"][number] {
  const both = (rate: number | undefined) => ({ up: rate, down: rate })
  return { name, bandwidth: { connection: both(connection), client: both(client), app: both(app) } }
}

function tier(name: string, weight: number, rates: Rates = {}): TierSettings {
  const { connection, client } = app("", rates).bandwidth
  const match = { addresses: [], serverNames: [], ports: [], certificates: [], tokens: [] }
  return { name, weight, bandwidth: { connection, client }, match }
}

function settings(
  apps: ShaperSettings["apps"],
  { all, tiers = [] }: { all?: number; tiers?: readonly TierSettings[] } = {},
): ShaperSettings {
  return { apps, tiers, bandwidth: { up: all, down: all } }
}

interface ReaderOptions extends Partial<FlowOptions> {
  /** What its sender sends, bytes/s. Default: as much as is read. */
  readonly offered?: number
  /** It reads as much at once as it can, whatever is advised. */
  readonly heedless?: boolean
}

const chunk = 65_536
const readMs = 0.2

/** One that reads from a socket whose sender has something, and stops when it is told so. */
class Reader {
  got = 0
  readonly flow: Flow
  readonly #clock: FakeClock
  readonly #options: ReaderOptions
  readonly #startedAt: number
  #isPaused = false
  #isClosed = false

  constructor(clock: FakeClock, shaper: Shaper, options: ReaderOptions) {
    this.#clock = clock
    this.#options = options
    this.#startedAt = clock.now()
    const { client = "a", app = "web", tier, direction = "up" } = options
    const resume = () => {
      assert(this.#isPaused, "nobody who reads is told to")
      this.#isPaused = false
      clock.after(readMs, () => this.#read())
    }
    const flow = shaper.open({ client, app, tier, direction, resume })
    assert(flow !== undefined)
    this.flow = flow
    if (flow.spend(0)) clock.after(readMs, () => this.#read())
    else this.#isPaused = true
  }

  close(): void {
    this.#isClosed = true
    this.flow.close()
  }

  #read(): void {
    if (this.#isClosed) return
    const { offered, heedless } = this.#options
    const there =
      offered === undefined ? Infinity : Math.floor(((this.#clock.now() - this.#startedAt) * offered) / 1000) - this.got
    const bytes = Math.min(there, chunk, heedless === true ? Infinity : this.flow.piece)
    if (bytes <= 0) {
      this.#clock.after(3, () => this.#read())
      return
    }
    this.got += bytes
    if (this.flow.spend(bytes)) this.#clock.after(readMs, () => this.#read())
    else this.#isPaused = true
  }
}

/** Runs for so long after a time in which first bytes are paid for; returns what each has got, bytes/s. */
function ratesOf(clock: FakeClock, readers: readonly Reader[], seconds: number, warmUp = 1): number[] {
  clock.advance(warmUp * 1000)
  const before = readers.map(({ got }) => got)
  clock.advance(seconds * 1000)
  return readers.map(({ got }, at) => (got - (before[at] as number)) / seconds)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}

function near(actual: number, expected: number, share: number, what: string): void {
  const text = `${what}: ${actual.toFixed(0)} instead of ${expected.toFixed(0)}`
  assert(Math.abs(actual - expected) <= expected * share, text)
}

for (const cap of [20_000, 1_000_000, 200_000_000]) {
  test(`one client with 8 connections gets no more than each of 20 with one, under a cap of ${cap} bytes/s`, () => {
    const clock = new FakeClock()
    const shaper = new Shaper({ clock, settings: settings([app("web", { app: cap })]) })
    const greedy = Array.from({ length: 8 }, () => new Reader(clock, shaper, { client: "greedy" }))
    const light = Array.from({ length: 20 }, (_, at) => new Reader(clock, shaper, { client: `light ${at}` }))
    const rates = ratesOf(clock, [...greedy, ...light], cap > 1e6 ? 2 : 20, cap > 1e6 ? 1 : 5)
    near(sum(rates), cap, 0.02, "all")
    near(sum(rates.slice(0, 8)), cap / 21, 0.1, "greedy")
    for (const rate of rates.slice(8)) near(rate, cap / 21, 0.1, "light")
    shaper.stop()
    assert.equal(shaper.waiting, 0)
  })

  test(`those who want less than their share get all of it, under a cap of ${cap} bytes/s`, () => {
    const clock = new FakeClock()
    const shaper = new Shaper({ clock, settings: settings([app("web", { app: cap })]) })
    const offered = (cap / 21) * 0.8
    const light = Array.from({ length: 20 }, (_, at) => new Reader(clock, shaper, { client: `light ${at}`, offered }))
    const greedy = Array.from({ length: 8 }, () => new Reader(clock, shaper, { client: "greedy" }))
    const rates = ratesOf(clock, [...light, ...greedy], cap > 1e6 ? 2 : 40)
    for (const rate of rates.slice(0, 20)) near(rate, offered, 0.05, "light")
    near(sum(rates), cap, 0.02, "all")
  })
}

test("shares are fair also among readers that read more at once than is advised", () => {
  const clock = new FakeClock()
  const shaper = new Shaper({ clock, settings: settings([app("web", { app: 1_000_000 })]) })
  const heedless = Array.from({ length: 8 }, () => new Reader(clock, shaper, { client: "greedy", heedless: true }))
  const light = Array.from({ length: 20 }, (_, at) => new Reader(clock, shaper, { client: `light ${at}` }))
  const rates = ratesOf(clock, [...heedless, ...light], 60, 20)
  near(sum(rates), 1_000_000, 0.02, "all")
  near(sum(rates.slice(0, 8)), 1_000_000 / 21, 0.1, "greedy")
  for (const rate of rates.slice(8)) near(rate, 1_000_000 / 21, 0.1, "light")
})

test("clients share by the weight of their tiers", () => {
  const clock = new FakeClock()
  const tiers = [tier("bronze", 1), tier("silver", 2), tier("gold", 5)]
  const shaper = new Shaper({ clock, settings: settings([app("web", { app: 8_000_000 })], { tiers }) })
  const readers = tiers.map(({ name }) => new Reader(clock, shaper, { client: name, tier: name }))
  const rates = ratesOf(clock, readers, 20)
  for (const [at, { weight }] of tiers.entries())
    near(rates[at] as number, weight * 1_000_000, 0.03, `weight ${weight}`)
})

test("nested caps are used up, and shared in the max-min way", () => {
  const clock = new FakeClock()
  const apps = [app("small", { app: 1_000_000 }), app("wide")]
  const shaper = new Shaper({ clock, settings: settings(apps, { all: 4_000_000 }) })
  const small = Array.from({ length: 10 }, (_, at) => new Reader(clock, shaper, { app: "small", client: `s${at}` }))
  const wide = Array.from({ length: 2 }, (_, at) => new Reader(clock, shaper, { app: "wide", client: `w${at}` }))
  const rates = ratesOf(clock, [...small, ...wide], 20)
  for (const rate of rates.slice(0, 10)) near(rate, 100_000, 0.05, "small")
  for (const rate of rates.slice(10)) near(rate, 1_500_000, 0.05, "wide")
})

test("a client is one client under the cap of all, whatever apps it uses", () => {
  const clock = new FakeClock()
  const shaper = new Shaper({ clock, settings: settings([app("one"), app("two")], { all: 2_000_000 }) })
  const readers = [
    new Reader(clock, shaper, { app: "one", client: "a" }),
    new Reader(clock, shaper, { app: "two", client: "a" }),
    new Reader(clock, shaper, { app: "two", client: "b" }),
  ]
  const [one, two, other] = ratesOf(clock, readers, 20) as [number, number, number]
  near(one + two, 1_000_000, 0.05, "a")
  near(other, 1_000_000, 0.05, "b")
})

test("a connection keeps its own rate, and a client's connections share the client's", () => {
  for (const [rates, each] of [
    [{ connection: 50_000 }, [50_000, 50_000, 50_000]],
    [{ client: 60_000 }, [30_000, 30_000, 60_000]],
    [{ connection: 40_000, client: 60_000 }, [30_000, 30_000, 40_000]],
  ] as const) {
    const clock = new FakeClock()
    const shaper = new Shaper({ clock, settings: settings([app("web", rates)]) })
    const readers = ["a", "a", "b"].map((client) => new Reader(clock, shaper, { client }))
    for (const [at, rate] of ratesOf(clock, readers, 20).entries()) near(rate, each[at] as number, 0.03, `${at}`)
  }
})

test("directions do not take from each other", () => {
  const clock = new FakeClock()
  const shaper = new Shaper({ clock, settings: settings([app("web", { client: 100_000 })]) })
  const readers = (["up", "down"] as const).map((direction) => new Reader(clock, shaper, { direction }))
  for (const rate of ratesOf(clock, readers, 10)) near(rate, 100_000, 0.02, "each")
})

test("a tier's rates stand in for the app's, and hold once for all apps", () => {
  const clock = new FakeClock()
  const tiers = [tier("gold", 1, { client: 500_000 })]
  const apps = [app("one", { client: 10_000 }), app("two", { client: 10_000, connection: 200_000 })]
  const shaper = new Shaper({ clock, settings: settings(apps, { tiers }) })
  const readers = [
    new Reader(clock, shaper, { app: "one", tier: "gold" }),
    new Reader(clock, shaper, { app: "two", tier: "gold" }),
    new Reader(clock, shaper, { app: "one" }),
  ]
  const [one, two, plain] = ratesOf(clock, readers, 10) as [number, number, number]
  near(two, 200_000, 0.03, "its connection's")
  near(one + two, 500_000, 0.03, "gold")
  near(plain, 10_000, 0.06, "without a tier")
})

test("short messages hardly wait behind those who take all they can", () => {
  const clock = new FakeClock()
  const shaper = new Shaper({ clock, settings: settings([app("web", { app: 1_000_000 })]) })
  for (let at = 0; at < 20; at++) new Reader(clock, shaper, { client: `heavy ${at}` })
  clock.advance(1000)
  const waits: number[] = []
  let sentAt = 0
  const resume = () => waits.push(clock.now() - sentAt)
  const flow = shaper.open({ client: "chat", app: "web", tier: undefined, direction: "up", resume }) as Flow
  for (let message = 0; message < 50; message++) {
    sentAt = clock.now()
    // The message was read; the next one comes when this one was let go.
    if (flow.spend(100)) waits.push(0)
    clock.advance(200)
  }
  assert.equal(waits.length, 50)
  const [median, most] = [waits.toSorted((a, b) => a - b)[25] as number, Math.max(...waits)]
  assert(median < 20 && most < 60, `${median} ms, at most ${most} ms`)
})

test("it does not pay to come back with a new connection", () => {
  for (const rates of [{ app: 1_000_000 }, { client: 500_000 }]) {
    const clock = new FakeClock()
    const shaper = new Shaper({ clock, settings: settings([app("web", rates)]) })
    const steady = new Reader(clock, shaper, { client: "steady" })
    let got = 0
    for (const endsAt = clock.now() + 20_000; clock.now() < endsAt;) {
      const reader = new Reader(clock, shaper, { client: "restless", heedless: true })
      for (let step = 0; step < 50 && reader.got === 0; step++) clock.advance(10)
      reader.close()
      got += reader.got
    }
    near(steady.got / 20, 500_000, 0.1, "steady")
    assert(got / 20 < 550_000, `${got / 20}`)
  }
})

test("what is not limited has no flow", () => {
  const shaper = new Shaper({ clock: new FakeClock(), settings: settings([app("web")]) })
  const resume = () => {}
  assert.equal(shaper.open({ client: "a", app: "web", tier: undefined, direction: "up", resume }), undefined)
})

test("other limits count at once, for those who wait too", () => {
  const clock = new FakeClock()
  const shaper = new Shaper({ clock, settings: settings([app("web", { app: 100 })]) })
  const readers = ["a", "b", "c"].map((client) => new Reader(clock, shaper, { client, heedless: true }))
  clock.advance(60_000)
  assert.equal(shaper.waiting, 3, "they have hundreds of seconds to pay for")
  shaper.update(settings([app("web", { client: 300_000 })]))
  for (const rate of ratesOf(clock, readers, 10)) near(rate, 300_000, 0.05, "each has its own now")
  shaper.update(settings([app("web", { app: 300_000 })]))
  for (const rate of ratesOf(clock, readers, 10)) near(rate, 100_000, 0.08, "and shares again")
  shaper.update(settings([app("web", { app: 30_000 })]))
  shaper.update(settings([app("web", { app: 3_000_000 })]))
  for (const rate of ratesOf(clock, readers, 10)) near(rate, 1_000_000, 0.05, "faster")
  const before = readers[0]?.got as number
  shaper.update(settings([app("web")]))
  clock.advance(100)
  assert((readers[0]?.got as number) - before > 10e6, "as fast as it can")
  for (const reader of readers) reader.close()
  clock.advance(1)
  assert.equal(clock.pending, 0)
})

test("whoever goes gives back what it has not used, and leaves nothing behind", () => {
  const clock = new FakeClock()
  const shaper = new Shaper({ clock, settings: settings([app("web", { client: 1_000_000, app: 2_000_000 })]) })
  for (let round = 0; round < 200; round++) {
    const readers = Array.from({ length: 50 }, (_, at) => new Reader(clock, shaper, { client: `${round} ${at}` }))
    clock.advance(10)
    for (const reader of readers) reader.close()
  }
  clock.advance(1000)
  const last = new Reader(clock, shaper, { client: "last" })
  near(ratesOf(clock, [last], 5)[0] as number, 1_000_000, 0.02, "the last one")
  // Each one that goes lets two others be forgotten.
  for (let at = 0; at < 10_000; at++) new Reader(clock, shaper, { client: "x" }).close()
  last.close()
  clock.advance(100)
  new Reader(clock, shaper, { client: "y" }).close()
  assert(shaper.remembered < 3, `${shaper.remembered}`)
  clock.advance(readMs * 2)
  assert.equal(clock.pending, 0)
})

test("a cap holds, and is used up, whatever comes and goes", () => {
  const property = fc.property(fc.nat(), fc.integer({ min: 2_000, max: 50_000_000 }), (seed, cap) => {
    const clock = new FakeClock()
    const random = new SeededRandom(seed)
    const shaper = new Shaper({ clock, settings: settings([app("web", { app: cap, client: cap / 2 })]) })
    const any = (count: number) => Math.floor(random.fraction() * count)
    const readers: Reader[] = []
    const all: Reader[] = []
    const open = (client: string) => {
      const heedless = random.fraction() < 0.3
      const offered = random.fraction() < 0.5 ? { offered: (cap / 10) * random.fraction() } : {}
      const reader = new Reader(clock, shaper, { client, heedless, ...offered })
      readers.push(reader)
      all.push(reader)
    }
    const steady = ["greedy 1", "greedy 2", "greedy 3"].map((client) => new Reader(clock, shaper, { client }))
    all.push(...steady)
    const startedAt = clock.now()
    for (let step = 0; step < 300; step++) {
      if (random.fraction() < 0.3 && readers.length < 20) open(`client ${any(8)}`)
      if (random.fraction() < 0.2) readers.splice(any(readers.length), 1)[0]?.close()
      clock.advance(any(40))
    }
    const seconds = (clock.now() - startedAt) / 1000
    const got = sum(all.map((reader) => reader.got))
    // Each may have read one piece too much when it ended; a tenth of a second may pass at once.
    assert(got <= cap * (seconds + 0.1) + chunk * all.length, `${got} in ${seconds} s at ${cap}`)
    assert(got >= cap * seconds * 0.97 - chunk * 3, `${got} in ${seconds} s at ${cap}`)
    for (const reader of [...readers, ...steady]) reader.close()
    assert.equal(shaper.waiting, 0)
  })
  fc.assert(property, { numRuns: 40 })
})
