import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Scheduler } from "./scheduler.ts"
import type { Turn } from "./scheduler.ts"

const quantum = 64 * 1024

interface Sender {
  readonly name: string
  readonly turn: Turn
  /** Bytes that wait. */
  left: number
}

function sender(name: string, left: number): Sender {
  return { name, left, turn: { place: "none", deficit: 0 } }
}

/** One turn, as a session gives it; frames overshoot by up to `frame`. */
function turn(scheduler: Scheduler<Sender>, frame = 1): { who: Sender; bytes: number } | undefined {
  const who = scheduler.next()
  if (who === undefined) return undefined
  const may = Math.ceil(Math.max(0, who.turn.deficit) / frame) * frame
  const bytes = Math.min(who.left, may)
  who.left -= bytes
  scheduler.done(who, bytes, who.left > 0)
  return { who, bytes }
}

test("bulk streams stay within one quantum and one frame of each other", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 10 }), fc.integer({ min: 1, max: 70_000 }), (count, frame) => {
      const scheduler = new Scheduler<Sender>(quantum)
      const senders = Array.from({ length: count }, (_, at) => sender(`bulk ${at}`, 1e12))
      const sent = new Map<Sender, number>(senders.map((each) => [each, 0]))
      for (const each of senders) scheduler.ready(each)
      for (let round = 0; round < 200; round++) {
        const { who, bytes } = turn(scheduler, frame) as { who: Sender; bytes: number }
        sent.set(who, (sent.get(who) as number) + bytes)
        const all = [...sent.values()]
        assert.ok(Math.max(...all) - Math.min(...all) <= 2 * (quantum + frame))
      }
    }),
    { numRuns: 50 },
  )
})

test("a stream that was idle sends before bulk does", () => {
  const scheduler = new Scheduler<Sender>(quantum)
  const bulk = [sender("a", 1e12), sender("b", 1e12)]
  for (const each of bulk) scheduler.ready(each)
  for (let at = 0; at < 10; at++) turn(scheduler)
  const head = sender("head", 100)
  scheduler.ready(head)
  assert.equal(turn(scheduler)?.who, head)
  assert.equal(head.turn.place, "none")
})

test("endless short answers leave bulk a sixth of the bytes", () => {
  const scheduler = new Scheduler<Sender>(quantum)
  const bulk = sender("bulk", 1e12)
  scheduler.ready(bulk)
  let ofBulk = 0
  let all = 0
  for (let round = 0; round < 2000; round++) {
    // There is always another stream with 50 KB to answer.
    scheduler.ready(sender(`short ${round}`, 50_000))
    const { who, bytes } = turn(scheduler) as { who: Sender; bytes: number }
    all += bytes
    if (who === bulk) ofBulk += bytes
  }
  assert.ok(ofBulk / all >= 1 / 6, `bulk got ${((100 * ofBulk) / all).toFixed(1)} %`)
})

test("whoever is ready gets its turn, and is in one list once, whatever happens", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ who: fc.nat(7), add: fc.nat(200_000), turns: fc.nat(3), sweep: fc.boolean() }), {
        maxLength: 100,
      }),
      (steps) => {
        const scheduler = new Scheduler<Sender>(quantum)
        const senders = Array.from({ length: 8 }, (_, at) => sender(String(at), 0))
        for (const { who, add, turns, sweep } of steps) {
          const chosen = senders[who] as Sender
          chosen.left += add
          if (add > 0) scheduler.ready(chosen)
          for (let at = 0; at < turns; at++) turn(scheduler)
          if (sweep) scheduler.sweep((each) => each.left > 0)
          assert.ok(scheduler.length <= senders.length)
        }
        for (let at = 0; at < 10_000 && !scheduler.empty; at++) turn(scheduler)
        assert.equal(scheduler.empty, true)
        for (const each of senders) {
          assert.equal(each.left, 0, "everything was sent")
          assert.equal(each.turn.place, "none")
        }
      },
    ),
    { numRuns: 200 },
  )
})
