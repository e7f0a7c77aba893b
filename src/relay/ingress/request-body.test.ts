import assert from "node:assert/strict"
import { test } from "node:test"
import type { RequestFraming } from "../../http1/framing.ts"
import { RequestBody } from "./request-body.ts"

test("a body ends where its framing says, however the bytes are cut, and the next request's are left", () => {
  const table: readonly [RequestFraming, string, string[]][] = [
    [{ kind: "length", length: 5 }, "hello", []],
    [{ kind: "chunked" }, "2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n", ["X-Sum", "1"]],
  ]
  let got = ""
  let ends: string[][] = []
  // The same one for all: nothing of a body may be left when the next one begins.
  const body = new RequestBody({
    data: (sub) => (got += Buffer.from(sub).toString()),
    end: (trailers) => ends.push(trailers),
  })
  for (const [framing, text, trailers] of table) {
    const wire = Buffer.from(`${text}GET /`)
    for (let cut = 1; cut < text.length; cut++) {
      got = ""
      ends = []
      body.begin(framing)
      assert.equal(body.push(wire.subarray(0, cut), 0), cut)
      assert.deepEqual(ends, [])
      assert.equal(body.push(wire, cut), text.length)
      assert.deepEqual([got, ends], ["hello", [trailers]], `${framing.kind}, cut at ${cut}`)
    }
  }
})
