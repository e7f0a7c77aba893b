import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../test/kit/fake-clock.ts"
import { RdvError } from "../base/error.ts"
import { stagger } from "./stagger.ts"

interface Attempt {
  readonly at: number
  readonly signal: AbortSignal
  succeed(value: string): void
  fail(error: Error): void
}

function course(signal?: AbortSignal) {
  const clock = new FakeClock(0)
  const attempts: Attempt[] = []
  const dropped: string[] = []
  const outcome = stagger<string>(
    (own) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      attempts.push({ at: clock.now(), signal: own, succeed: resolve, fail: reject })
      return promise
    },
    (late) => void dropped.push(late),
    { clock, signal, everyMs: 1_000, most: 3 },
  )
  outcome.catch(() => undefined)
  const live = () => attempts.filter((each) => !each.signal.aborted).map(({ at }) => at)
  return { clock, attempts, dropped, outcome, live }
}

test("an attempt that has an outcome within a second stays the only one", async () => {
  const { clock, attempts, outcome } = course()
  clock.advance(999)
  attempts[0]?.succeed("first")
  assert.equal(await outcome, "first")
  assert.equal(clock.pending, 0)
  assert.equal(attempts.length, 1)
})

test("each second another one begins, at most three run, and the first is given all its time", () => {
  const { clock, live } = course()
  clock.advance(2_500)
  assert.deepEqual(live(), [0, 1_000, 2_000])
  clock.advance(1_000)
  assert.deepEqual(live(), [0, 2_000, 3_000])
  clock.advance(6_000)
  assert.deepEqual(live(), [0, 8_000, 9_000])
})

test("the first to succeed wins, the others are cut, and what they still yield is dropped", async () => {
  for (const winner of [0, 1, 2]) {
    const { clock, attempts, dropped, outcome } = course()
    clock.advance(2_500)
    attempts[winner]?.succeed(`of ${winner}`)
    assert.equal(await outcome, `of ${winner}`)
    const others = attempts.filter((_, at) => at !== winner)
    assert.ok(others.every(({ signal }) => signal.aborted))
    assert.ok(!attempts[winner]?.signal.aborted, "the winner's signal is its own affair now")
    others[0]?.succeed("late")
    others[1]?.fail(new Error("cut"))
    await settle()
    assert.deepEqual(dropped, ["late"])
    assert.equal(clock.pending, 0)
  }
})

test("a refusal is an outcome too; the failure of one that was cut is none", async () => {
  const { clock, attempts, outcome } = course()
  clock.advance(3_500)
  attempts[1]?.fail(new Error("cut"))
  await settle()
  attempts[3]?.fail(new Error("refused"))
  await assert.rejects(outcome, { message: "refused" })
  assert.ok(attempts[0]?.signal.aborted)
  assert.equal(clock.pending, 0)
})

test("a relay that turns a later attempt away does not end the first one, which it may be serving", async () => {
  const away = new RdvError("unreachable", "turned away")
  const { clock, attempts, outcome } = course()
  clock.advance(2_500)
  attempts[1]?.fail(away)
  attempts[2]?.fail(away)
  await settle()
  clock.advance(1_000)
  assert.equal(attempts.length, 4)
  attempts[0]?.succeed("first")
  assert.equal(await outcome, "first")
  assert.equal(clock.pending, 0)

  // Who got no answer at all tells what another one was told.
  const none = course()
  none.clock.advance(1_500)
  none.attempts[1]?.fail(away)
  await settle()
  none.attempts[0]?.fail(new RdvError("timeout"))
  await assert.rejects(none.outcome, { message: "turned away" })
})

test("the caller's signal cuts all of them, and before the first none begins", async () => {
  const caller = new AbortController()
  const { clock, attempts, live, outcome } = course(caller.signal)
  clock.advance(1_500)
  caller.abort(new Error("enough"))
  await assert.rejects(outcome, { message: "enough" })
  assert.deepEqual([attempts.length, live()], [2, []])
  const none = course(AbortSignal.abort(new Error("over")))
  await assert.rejects(none.outcome, { message: "over" })
  assert.equal(none.attempts.length, 0)
})
