import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { concat } from "../base/bytes.ts"
import { ReplayLog } from "./replay-log.ts"

/** What the log must do, said with one plain array. */
class Model {
  all: number[] = []
  start = 0
  cursor = 0
}

type Step =
  | { readonly do: "append"; readonly sizes: readonly number[] }
  | { readonly do: "ack"; readonly part: number }
  | { readonly do: "rewind"; readonly part: number }
  | { readonly do: "next"; readonly most: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("append" as const), sizes: fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }) }),
  fc.record({ do: fc.constant("ack" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant("rewind" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant("next" as const), most: fc.nat(200) }),
)

test("the log sends exactly what was appended and not acknowledged, however often it is rewound", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const log = new ReplayLog()
      const model = new Model()
      let stamp = 0
      for (const each of steps) {
        if (each.do === "append") {
          const parts = each.sizes.map((size) => Uint8Array.from({ length: size }, () => stamp++ & 255))
          const bytes = parts.reduce((sum, part) => sum + part.length, 0)
          if (bytes === 0) continue
          const behind = log.replaying
          log.append(parts, bytes)
          model.all.push(...concat(parts))
          if (!behind) model.cursor = model.all.length
        } else if (each.do === "ack") {
          const position = model.start + Math.floor(each.part * (model.all.length - model.start))
          log.acknowledge(position)
          model.start = position
          model.cursor = Math.max(model.cursor, position)
        } else if (each.do === "rewind") {
          const position = model.start + Math.floor(each.part * (model.all.length - model.start))
          assert.equal(log.rewind(position), Math.max(0, model.cursor - position))
          model.start = model.cursor = position
        } else if (log.replaying) {
          const sent = concat(log.next(each.most))
          assert.ok(sent.length > 0)
          assert.deepEqual([...sent], model.all.slice(model.cursor, model.cursor + sent.length))
          model.cursor += sent.length
        }
        assert.equal(log.start, model.start)
        assert.equal(log.end, model.all.length)
        assert.equal(log.bytes, model.all.length - model.start)
        assert.equal(log.replaying, model.cursor < model.all.length)
      }
      const rest: number[] = []
      const from = model.cursor
      while (log.replaying) rest.push(...concat(log.next(1)))
      assert.deepEqual(rest, model.all.slice(from))
    }),
    { numRuns: 300 },
  )
})

test("a position that was never sent is refused, and one that is acknowledged cannot be asked for", () => {
  const log = new ReplayLog()
  log.append([new Uint8Array(10)], 10)
  assert.throws(() => log.acknowledge(11), { code: "protocol" })
  log.acknowledge(10)
  log.acknowledge(4)
  assert.equal(log.start, 10)
  assert.throws(() => log.rewind(9), { code: "protocol" })
  assert.throws(() => log.rewind(11), { code: "protocol" })
})

test("a replay joins small batches up to the bytes of one write, and never cuts one", () => {
  const log = new ReplayLog()
  for (let at = 0; at < 100; at++) log.append([new Uint8Array(10).fill(at)], 10)
  log.rewind(0)
  const writes: number[] = []
  while (log.replaying) writes.push(concat(log.next(64)).length)
  assert.deepEqual(
    writes.slice(0, -1),
    Array.from({ length: 16 }, () => 60),
  )
  assert.equal(writes.at(-1), 40)
})

test("an acknowledgement that overtakes a replay skips what is acknowledged", () => {
  const log = new ReplayLog()
  log.append([new Uint8Array(10)], 10)
  log.append([new Uint8Array(20)], 20)
  log.rewind(0)
  log.acknowledge(10)
  assert.equal(concat(log.next(1000)).length, 20)
  log.rewind(10)
  log.acknowledge(30)
  assert.equal(log.replaying, false)
})

test("100,000 small batches replay in a time that grows with their number, not with its square", () => {
  const log = new ReplayLog()
  const part = new Uint8Array(100)
  for (let at = 0; at < 100_000; at++) log.append([part], 100)
  log.rewind(100)
  const started = performance.now()
  let bytes = 0
  while (log.replaying) for (const each of log.next(1)) bytes += each.length
  assert.equal(bytes, 9_999_900)
  assert.ok(performance.now() - started < 1000)
})
