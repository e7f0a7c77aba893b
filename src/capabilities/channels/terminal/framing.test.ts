import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { concat } from "../../../base/bytes.ts"
import { framed, messagesOf } from "./framing.ts"

async function* pieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let round = 0; at < bytes.length; round++) {
    const size = sizes[round % sizes.length] as number
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function all(chunks: AsyncIterable<Uint8Array>, framing: "lines" | "null" | "whole"): Promise<string[]> {
  const texts: string[] = []
  for await (const message of messagesOf(chunks, framing, 10_000)) texts.push(Buffer.from(message).toString("latin1"))
  return texts
}

test("what is written in frames is read as the same messages, however the bytes arrive", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", " "), maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(text),
      fc.constantFrom("lines" as const, "null" as const),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
      async (messages, framing, sizes) => {
        const bytes = concat(messages.map((each) => framed(Buffer.from(each), framing)))
        assert.deepEqual(await all(pieces(bytes, sizes), framing), messages)
      },
    ),
  )
})

test("a last line without an end is a message, and the whole input is one, also an empty one", async () => {
  assert.deepEqual(await all(pieces(Buffer.from("a\nb"), [1]), "lines"), ["a", "b"])
  assert.deepEqual(await all(pieces(Buffer.from("a\nb\n"), [2]), "whole"), ["a\nb\n"])
  assert.deepEqual(await all(pieces(new Uint8Array(0), [1]), "whole"), [""])
  assert.deepEqual(await all(pieces(new Uint8Array(0), [1]), "lines"), [])
})

test("a message without an end does not fill the memory", async () => {
  await assert.rejects(all(pieces(new Uint8Array(20_000).fill(65), [100]), "lines"), { code: "too_large" })
})

test("a line that ends in a newline gets no second one", () => {
  assert.equal(Buffer.from(framed(Buffer.from("a\n"), "lines")).toString(), "a\n")
})
