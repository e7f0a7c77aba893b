import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { systemClock } from "../../../base/clock.ts"
import { Names } from "./names.ts"

interface Question {
  readonly host: string
  answer(...addresses: string[]): Promise<void>
  fail(code: string): Promise<void>
}

/** Names whose resolver is the test. */
function setUp(t: TestContext, resolve: Record<string, readonly string[]> = {}) {
  const clock = new FakeClock()
  const questions: Question[] = []
  const state = { resolve, resolveMs: 30_000 }
  const names = new Names({
    clock,
    resolveMs: () => state.resolveMs,
    resolve: () => state.resolve,
    ask: (host) => {
      const { promise, resolve: answer, reject } = Promise.withResolvers<string[]>()
      questions.push({
        host,
        answer: async (...addresses) => (answer(addresses), await settle(1)),
        fail: async (code) => (reject(Object.assign(new Error(code), { code })), await settle(1)),
      })
      return promise
    },
  })
  t.after(() => {
    names.stop()
    assert.equal(clock.pending, 0, "a timer is left")
  })
  const last = () => questions.at(-1) as Question
  return { clock, names, questions, state, last }
}

const three = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

test("an address in the place of a name asks nothing and sets no timer", async (t) => {
  const { clock, names, questions } = setUp(t)
  for (const address of ["10.0.0.1", "::1", "fe80::1%lo"]) {
    const name = names.open(address)
    await name.ready()
    name.failed(address)
    assert.equal(name.next(), address)
    assert.deepEqual(name.addresses, [address])
    assert.equal(name.error, undefined)
    name.close()
  }
  assert.equal(questions.length, 0)
  assert.equal(clock.pending, 0)
})

test("all addresses of a name take turns", async (t) => {
  const { names, last } = setUp(t)
  const name = names.open("db.test")
  assert.equal(name.next(), undefined)
  const ready = name.ready()
  await last().answer(...three, "10.0.0.1")
  await ready
  assert.deepEqual(
    Array.from({ length: 6 }, () => name.next()),
    [...three, ...three],
  )
})

test("targets of one host share its question, and each has turns of its own", async (t) => {
  const { names, questions, last } = setUp(t)
  const [one, other] = [names.open("db.test"), names.open("DB.test")]
  assert.equal(questions.length, 1)
  await last().answer("10.0.0.1", "10.0.0.2")
  const seen = Array.from({ length: 4 }, () => [one.next(), other.next()])
  assert.deepEqual(seen[0], ["10.0.0.1", "10.0.0.1"])
  assert.deepEqual(seen[1], ["10.0.0.2", "10.0.0.2"])
  one.failed("10.0.0.1")
  assert.equal(one.next(), "10.0.0.2")
  assert.equal(other.next(), "10.0.0.1")
})

test("a name that does not resolve is only a dead target: it is asked for again, sooner at first", async (t) => {
  const { clock, names, questions, last } = setUp(t)
  const name = names.open("bad.target.for.testing")
  const ready = name.ready()
  await last().fail("ENOTFOUND")
  await ready
  assert.equal(name.next(), undefined)
  assert.match(name.error ?? "", /does not resolve \(ENOTFOUND\)/)
  const times: number[] = []
  for (let round = 0; round < 8; round++) {
    const before = clock.now()
    const count = questions.length
    while (questions.length === count) await clock.pass(1000)
    times.push(clock.now() - before)
    await last().fail("ENOTFOUND")
  }
  assert.deepEqual(times, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  await clock.pass(30_000)
  await last().answer("10.0.0.9")
  assert.equal(name.next(), "10.0.0.9")
  assert.equal(name.error, undefined)
})

test("a resolver that fails later takes no address away", async (t) => {
  const { clock, names, last } = setUp(t)
  const name = names.open("db.test")
  await last().answer(...three)
  for (const code of ["EAI_AGAIN", "ENOTFOUND", "EPERM"]) {
    await clock.pass(30_000)
    await last().fail(code)
    assert.match(name.error ?? "", new RegExp(code))
    assert.deepEqual(name.addresses, three)
    assert.ok(name.next())
  }
  await clock.pass(30_000)
  await last().answer()
  assert.deepEqual(name.addresses, three)
})

test("a changed name is followed, and one question runs at a time", async (t) => {
  const { clock, names, questions, state, last } = setUp(t)
  const name = names.open("db.test")
  await clock.pass(600_000)
  assert.equal(questions.length, 1, "the first question still runs")
  await last().answer("10.0.0.1", "10.0.0.2")
  name.failed("10.0.0.1")
  state.resolveMs = 5000
  await clock.pass(30_000)
  assert.equal(questions.length, 2)
  await last().answer("10.0.0.3")
  assert.deepEqual([name.next(), name.next()], ["10.0.0.3", "10.0.0.3"])
  await clock.pass(5000)
  assert.equal(questions.length, 3)
})

test("an address that failed is left out for a while, and for longer when it fails again", async (t) => {
  const { clock, names, last } = setUp(t)
  const name = names.open("localhost.test")
  await last().answer("::1", "127.0.0.1")
  const takes = () => new Set(Array.from({ length: 4 }, () => name.next())).size
  let outMs = 0
  for (const expected of [5000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
    name.failed("::1")
    name.failed("::1")
    outMs = 0
    while (takes() === 1 && outMs < 100_000) {
      clock.advance(1000)
      outMs += 1000
    }
    assert.equal(outMs, expected)
  }
  // After a long time in good order it begins anew.
  clock.advance(200_000)
  name.failed("::1")
  clock.advance(5000)
  assert.equal(takes(), 2)
})

test("when all addresses failed they still take turns, and the name is asked for again soon, not at once each time", async (t) => {
  const { clock, names, questions, last } = setUp(t)
  const name = names.open("db.test")
  await last().answer(...three)
  clock.advance(20)
  const tried: (string | undefined)[] = []
  for (let dial = 0; dial < 9; dial++) {
    const address = name.next()
    tried.push(address)
    name.failed(address as string)
    clock.advance(1)
  }
  for (const address of three) assert.equal(tried.filter((one) => one === address).length, 3)
  assert.equal(questions.length, 1)
  await clock.pass(1000)
  assert.equal(questions.length, 2)
  await last().answer("10.0.0.9")
  assert.equal(name.next(), "10.0.0.9")
})

test("an address that the name never had changes nothing", async (t) => {
  const { names, questions, last } = setUp(t)
  const name = names.open("db.test")
  await last().answer("10.0.0.1")
  for (let dial = 0; dial < 1000; dial++) name.failed(`10.1.0.${dial}`)
  assert.equal(name.next(), "10.0.0.1")
  assert.equal(questions.length, 1)
})

test("stand-ins are used without a question, and a reload that changes them counts at once", async (t) => {
  const { clock, names, questions, state, last } = setUp(t, { "echo.test": ["127.0.0.1"] })
  const name = names.open("Echo.test")
  await name.ready()
  assert.equal(name.next(), "127.0.0.1")
  await clock.pass(100_000)
  assert.equal(questions.length, 0)
  state.resolve = { "echo.test": ["127.0.0.2", "127.0.0.3"] }
  assert.deepEqual(new Set([name.next(), name.next()]), new Set(["127.0.0.2", "127.0.0.3"]))
  state.resolve = {}
  assert.equal(name.next(), undefined)
  const ready = name.ready()
  await last().answer("10.0.0.1")
  await ready
  assert.equal(name.next(), "10.0.0.1")
  state.resolve = { "echo.test": ["127.0.0.1"] }
  assert.equal(name.next(), "127.0.0.1")
})

test("a name that nobody uses any more is not asked for, and nobody waits for ever", async (t) => {
  const { clock, names, questions, last } = setUp(t)
  const [one, other] = [names.open("db.test"), names.open("db.test")]
  const ready = one.ready()
  one.close()
  one.close()
  await last().answer("10.0.0.1")
  assert.equal(other.next(), "10.0.0.1")
  other.close()
  await ready
  assert.equal(clock.pending, 0)
  const third = names.open("db.test")
  assert.equal(questions.length, 2)
  const waits = third.ready()
  names.stop()
  await waits
  await last().answer("10.0.0.7")
  assert.equal(clock.pending, 0)
  await names.open("late.test").ready()
})

test("the system's resolver is asked by default", async (t) => {
  const names = new Names({ clock: systemClock, resolveMs: () => 30_000, resolve: () => ({}) })
  t.after(() => names.stop())
  const name = names.open("localhost")
  await name.ready()
  assert.match(name.next() ?? "", /^(127\.0\.0\.1|::1)$/)
})
