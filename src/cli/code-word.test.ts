import assert from "node:assert/strict"
import { test } from "node:test"
import { codeWord } from "./code-word.ts"

async function* input(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

test("- is the first line of standard input, however it comes", async () => {
  assert.equal(await codeWord("-", input("4827", "13-lusab\r\nsecond")), "482713-lusab")
  assert.equal(await codeWord("-", input("482713-lusab")), "482713-lusab")
  assert.equal(await codeWord("482713-lusab", input()), "482713-lusab")
})

test("no line is said, and an endless one is not waited for", async () => {
  await assert.rejects(codeWord("-", input()), { code: "usage", message: /no code on standard input/ })
  await assert.rejects(codeWord("-", input("\n", "late")), { code: "usage" })
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield Buffer.alloc(1_000, "x")
  }
  assert.equal((await codeWord("-", endless())).length, 4_096)
})
