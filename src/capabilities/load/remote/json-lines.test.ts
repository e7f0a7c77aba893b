import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import { JsonLines, longestLine, writeLine } from "./json-lines.ts"

test("messages arrive as they were sent, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue())), fc.integer({ min: 1, max: 9 }), (sent, size) => {
      const chunks: Uint8Array[] = []
      const stream = { write: (chunk: Uint8Array) => chunks.push(chunk) > 0 } as unknown as Stream
      for (const message of sent) writeLine(stream, message)
      const got: JsonObject[] = []
      const lines = new JsonLines((message) => void got.push(message))
      const bytes = Buffer.concat(chunks)
      const piece = new Uint8Array(size)
      for (let at = 0; at < bytes.length; at += size) {
        const length = bytes.copy(piece, 0, at, at + size)
        // The same memory each time, as a stream may lend it.
        lines.push(piece.subarray(0, length))
      }
      assert.deepEqual(got, JSON.parse(JSON.stringify(sent)))
    }),
  )
})

test("what is no message is refused, and nothing longer than a line is held", () => {
  const none = () => undefined
  for (const text of ["nonsense\n", "[1]\n", "null\n", "\n"]) {
    assert.throws(() => new JsonLines(none).push(Buffer.from(text)), { code: "protocol" }, text)
  }
  const lines = new JsonLines(none)
  const piece = new Uint8Array(1024 * 1024).fill(0x20)
  assert.throws(
    () => {
      for (let at = 0; at <= longestLine; at += piece.length) lines.push(piece)
    },
    { code: "protocol", message: /longer than/ },
  )
  assert.throws(() => writeLine({} as Stream, "x".repeat(longestLine)), { code: "limit" })
})
