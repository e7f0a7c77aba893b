import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { Expectation, Framing } from "../scenario/scenario.ts"
import { more } from "./answer-reader.ts"
import { FramedAnswer } from "./framed-answer.ts"

const none: Framing = { kind: "none" }
const newline: Framing = { kind: "newline" }

/** What becomes of an answer that arrives in these parts: how much of it was used, and the kind of error. */
function read(
  framing: Framing,
  expect: Expectation,
  sent: string,
  parts: readonly Buffer[],
  reader = newReader(framing),
) {
  const content = Buffer.from(sent, "latin1")
  if (reader.begin({ bytes: content, content, expect })) return { used: 0, wrong: undefined, persists: true, bytes: 0 }
  let before = 0
  for (const part of parts) {
    const memory = Buffer.concat([Buffer.from("\n\n"), part, Buffer.from("\n\n")])
    const end = reader.push(memory, 2, 2 + part.length)
    if (end !== more) {
      const { wrong, persists, bytes } = reader
      return { used: before + end - 2, wrong: wrong?.kind, persists, bytes }
    }
    before += part.length
  }
  return undefined
}

function newReader(framing: Framing): FramedAnswer {
  return new FramedAnswer(framing, { kind: "echo" }, "h:1")
}

function readText(framing: Framing, expect: Expectation, sent: string, ...parts: readonly string[]) {
  const bytes = parts.map((part) => Buffer.from(part, "latin1"))
  return read(framing, expect, sent, bytes)
}

const echo: Expectation = { kind: "echo" }
const right = (bytes: number) => ({ used: bytes, wrong: undefined, persists: true, bytes })

test("without framing an echo is complete when as many bytes came as were sent", () => {
  assert.deepEqual(readText(none, echo, "hello", "hello"), right(5))
  assert.deepEqual(readText(none, echo, "hello", "he", "", "llo"), right(5))
  assert.equal(readText(none, echo, "hello", "hell"), undefined)
  assert.equal(readText(none, echo, "hello", "HELLO")?.wrong, "wrong answer")
  assert.equal(readText(none, echo, "hello", "HELLO")?.persists, true)
})

test("without framing, more bytes than were sent are a wrong answer, and nobody knows what follows", () => {
  const surplus = { used: 7, wrong: "wrong answer", persists: false, bytes: 7 }
  assert.deepEqual(readText(none, echo, "hello", "hello!!"), surplus)
  assert.deepEqual(readText(none, { kind: "size", bytes: 5 }, "x", "hello!!"), surplus)
})

test("without framing any answer ends with what came at once, a match when it is there", () => {
  assert.deepEqual(readText(none, { kind: "any" }, "x", "whatever"), right(8))
  const match: Expectation = { kind: "match", pattern: "wor+ld$", flags: "g" }
  assert.deepEqual(readText(none, match, "x", "hello ", "wor", "ld"), right(11))
  assert.equal(readText(none, match, "x", "hello ", "word"), undefined)
})

test("a message that expects no bytes is complete when it is sent", () => {
  assert.deepEqual(readText(none, { kind: "size", bytes: 0 }, "x"), right(0))
  assert.deepEqual(readText(none, echo, ""), right(0))
})

test("a line, a length in front and a fixed size end an answer", () => {
  assert.deepEqual(readText(newline, echo, "hi", "hi\nmore"), right(3))
  assert.deepEqual(readText(newline, echo, "hi", "h", "i", "\n"), right(3))
  assert.equal(readText(newline, echo, "hi", "hi\r\n")?.wrong, "wrong answer")
  assert.deepEqual(readText(newline, { kind: "size", bytes: 100 }, "", `${"x".repeat(100)}\n`), right(101))
  assert.deepEqual(readText({ kind: "length", bytes: 1 }, echo, "hi", "\x02", "hi"), right(3))
  assert.deepEqual(readText({ kind: "length", bytes: 2 }, echo, "hi", "\0", "\x02h", "i??"), right(4))
  assert.deepEqual(
    readText({ kind: "length", bytes: 4 }, { kind: "any" }, "hi", "\0\0\x01\0", "x".repeat(256)),
    right(260),
  )
  assert.deepEqual(readText({ kind: "length", bytes: 2 }, { kind: "any" }, "hi", "\0\0"), right(2))
  assert.deepEqual(
    readText({ kind: "fixed", bytes: 3 }, { kind: "match", pattern: "^abc$", flags: "" }, "", "abcd"),
    right(3),
  )
  assert.equal(
    readText({ kind: "fixed", bytes: 3 }, { kind: "match", pattern: "x", flags: "" }, "", "abc")?.wrong,
    "wrong answer",
  )
})

test("a pattern is looked for in a bounded part only; more is a wrong answer", () => {
  const reader = newReader(newline)
  const match: Expectation = { kind: "match", pattern: "x", flags: "" }
  const half = Buffer.alloc(600 * 1024, "y")
  assert.equal(read(newline, match, "", [half, half, Buffer.from("\n")], reader)?.wrong, "wrong answer")
  assert.deepEqual(read(newline, match, "", [Buffer.from("x\n")], reader), right(2))
  const wild = newReader(none)
  const result = read(none, match, "", [half, half], wild)
  assert.deepEqual([result?.wrong, result?.persists], ["wrong answer", false])
})

test("an answer that is cut anywhere is the same answer, and a wrong byte is found wherever it is", () => {
  const framings = fc.constantFrom<Framing["kind"]>("none", "newline", "length", "fixed")
  fc.assert(
    fc.property(
      framings,
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 }),
      fc.option(fc.nat(199), { nil: undefined }),
      (kind, bytes, sizes, flip) => {
        const content = Buffer.from(bytes).map((byte) => (byte === 10 ? 11 : byte))
        const back = Buffer.from(content)
        if (flip !== undefined) back[flip % back.length] = (back[flip % back.length] as number) === 12 ? 13 : 12
        const { framing, answer } = frame(kind, back)
        const parts: Buffer[] = []
        for (let at = 0, turn = 0; at < answer.length; turn++) {
          const size = sizes[turn % sizes.length] as number
          parts.push(answer.subarray(at, at + size))
          at += size
        }
        const wrong = Buffer.compare(back, Buffer.from(content)) === 0 ? undefined : "wrong answer"
        const sent = Buffer.from(content).toString("latin1")
        const expected = { used: answer.length, wrong, persists: true, bytes: answer.length }
        assert.deepEqual(read(framing, echo, sent, parts), expected)
        assert.deepEqual(read(framing, echo, sent, [answer]), expected)
      },
    ),
  )
})

function frame(kind: Framing["kind"], content: Buffer): { framing: Framing; answer: Buffer } {
  switch (kind) {
    case "none":
      return { framing: none, answer: content }
    case "newline":
      return { framing: newline, answer: Buffer.concat([content, Buffer.from("\n")]) }
    case "length":
      return { framing: { kind, bytes: 2 }, answer: Buffer.concat([Buffer.from([0, content.length]), content]) }
    case "fixed":
      return { framing: { kind, bytes: content.length }, answer: content }
  }
}
