import assert from "node:assert/strict"
import { test } from "node:test"
import { SeededRandom } from "../../../base/random.ts"
import type { Framing, MessagePlan } from "../scenario/scenario.ts"
import { createSource } from "./source.ts"
import type { SourceOptions } from "./source.ts"

function source(plan: SourceOptions["plan"], framing: Framing = { kind: "none" }, seed = 1) {
  return createSource({ plan, framing, expect: { kind: "echo" }, random: new SeededRandom(seed) })
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

test("a text without places is one message, made once", () => {
  const hello = source({ kind: "text", text: "hello world" })
  assert.equal(text(hello.next().bytes), "hello world")
  assert.equal(hello.next(), hello.next())
})

test("framing stands around the content, and the content is what an echo returns", () => {
  const framings: readonly [Framing, string][] = [
    [{ kind: "newline" }, "hi\n"],
    [{ kind: "length", bytes: 1 }, "\x02hi"],
    [{ kind: "length", bytes: 2 }, "\x00\x02hi"],
    [{ kind: "length", bytes: 4 }, "\x00\x00\x00\x02hi"],
    [{ kind: "fixed", bytes: 2 }, "hi"],
  ]
  for (const [framing, bytes] of framings) {
    const message = source({ kind: "text", text: "hi" }, framing).next()
    assert.equal(text(message.bytes), bytes)
    assert.equal(text(message.content), "hi")
  }
})

test("what a framing cannot carry is refused before anything is sent", () => {
  const refused: readonly [MessagePlan & { kind: "text" }, Framing, RegExp][] = [
    [{ kind: "text", text: "a\nb" }, { kind: "newline" }, /line feed/],
    [{ kind: "text", text: "x".repeat(256) }, { kind: "length", bytes: 1 }, /256 bytes does not fit/],
    [{ kind: "text", text: "abc" }, { kind: "fixed", bytes: 4 }, /3 bytes.*each has 4/],
    [{ kind: "text", text: "{{cuonter}}" }, { kind: "none" }, /\{\{cuonter\}\} is nothing/],
  ]
  for (const [plan, framing, error] of refused) assert.throws(() => source(plan, framing).next(), error)
})

test("places are filled in for each message", () => {
  const counted = source({ kind: "text", text: "job {{ counter }} of {{uuid}} at {{time}}" })
  const [first, second] = [text(counted.next().bytes), text(counted.next().bytes)]
  const form =
    /^job (\d) of [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} at \d{4}-\d\d-\d\dT.*Z$/
  assert.equal(form.exec(first)?.[1], "1")
  assert.equal(form.exec(second)?.[1], "2")
  assert.notEqual(first.split(" ")[3], second.split(" ")[3])
})

test("the same seed gives the same bytes, another one others", () => {
  const take = (seed: number) => {
    const random = source({ kind: "random", bytes: 100 }, { kind: "newline" }, seed)
    return Array.from({ length: 20 }, () => text(random.next().bytes)).join("|")
  }
  assert.equal(take(5), take(5))
  assert.notEqual(take(5), take(6))
  assert.equal(take(5).split("\n").length, 21)
})

test("weights choose as often as they say", () => {
  const entries = [
    { weight: 1, text: "a" },
    { weight: 3, text: "b" },
    { weight: 0, text: "never" },
    { weight: 6, text: "c" },
  ]
  const weighted = source({ kind: "sequence", entries })
  const counts: Record<string, number> = { a: 0, b: 0, c: 0 }
  for (let at = 0; at < 20_000; at++) {
    const key = text(weighted.next().bytes)
    counts[key] = (counts[key] ?? 0) + 1
  }
  assert.equal(Object.keys(counts).length, 3)
  for (const [key, share] of Object.entries({ a: 0.1, b: 0.3, c: 0.6 })) {
    assert.ok(Math.abs((counts[key] as number) / 20_000 - share) < 0.015, `${key} ${counts[key]}`)
  }
})
