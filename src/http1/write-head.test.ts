import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import { latin1Decode } from "../base/text.ts"
import { readHeaders, readRequestHead, readResponseHead } from "./read-head.ts"
import { RequestReader } from "./request-reader.ts"
import { ResponseReader } from "./response-reader.ts"
import { requestHeadBytes, responseHeadBytes } from "./write-head.ts"
import type { JsonObject } from "../base/json.ts"
import type { RequestHead, ResponseHead } from "./head.ts"

const name = fc
  .stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
  .filter((text) => !/^(host|content-length|transfer-encoding)$/i.test(text))
const value = fc.stringMatching(/^([!-~\x80-\xff]([\t -~\x80-\xff]{0,30}[!-~\x80-\xff])?)?$/)
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat())
const method = fc.stringMatching(/^[A-Z-]{1,12}$/).filter((text) => text !== "CONNECT")
const target = fc.stringMatching(/^\/[!"$-~\x80-\xff]{0,60}$/)

const request: RequestHead = { method: "GET", target: "/", minor: 1, headers: ["Host", "a.test", "X", "y"] }
const response: ResponseHead = { status: 200, reason: "OK", minor: 1, headers: ["X", "y"] }

describe("heads", () => {
  test("a request is the same after write, JSON and read", () => {
    fc.assert(
      fc.property(method, target, fields, (verb, path, rest) => {
        const head: RequestHead = { method: verb, target: path, minor: 1, headers: ["Host", "a.test:1", ...rest] }
        assert.deepEqual(new RequestReader().push(requestHeadBytes(head))?.head, head)
        assert.deepEqual(readRequestHead(JSON.parse(JSON.stringify(head)) as JsonObject), head)
      }),
      { numRuns: 300 },
    )
  })

  test("a response is the same after write, JSON and read", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 999 }), value, fields, (status, reason, headers) => {
        const head: ResponseHead = { status, reason, minor: 1, headers }
        assert.deepEqual(new ResponseReader().push(responseHeadBytes(head))?.head, head)
        assert.deepEqual(readResponseHead(JSON.parse(JSON.stringify(head)) as JsonObject), head)
      }),
      { numRuns: 300 },
    )
  })

  test("are written as HTTP/1.1 whatever the other side spoke", () => {
    assert.equal(latin1Decode(responseHeadBytes({ ...response, minor: 0 })), "HTTP/1.1 200 OK\r\nX: y\r\n\r\n")
    assert.equal(
      latin1Decode(requestHeadBytes({ ...request, minor: 0 })),
      "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\r\n",
    )
  })

  const bad = ["\r", "\n", "\r\n", "\r\n\r\n", "\n\r", "\0", "\x0b", "\x7f", "\u010a", "\u010d", "\u2028", "\u{1f600}"]
  for (const piece of bad) {
    const text = `a${piece}b`
    test(`are not written with ${JSON.stringify(piece)} in any part`, () => {
      const requests: RequestHead[] = [
        { ...request, method: text },
        { ...request, target: `/${text}` },
        { ...request, headers: [text, "x"] },
        { ...request, headers: ["x", text, "y", "z"] },
      ]
      for (const head of requests) assert.throws(() => requestHeadBytes(head), { code: "protocol" })
      assert.throws(() => responseHeadBytes({ ...response, reason: text }), { code: "protocol" })
      assert.throws(() => responseHeadBytes({ ...response, headers: ["Set-Cookie", text] }), { code: "protocol" })
    })
    test(`are not read from JSON with ${JSON.stringify(piece)} in any part`, () => {
      assert.throws(() => readRequestHead({ ...request, method: text }), { code: "protocol", message: /"method"/ })
      assert.throws(() => readRequestHead({ ...request, target: `/${text}` }), {
        code: "protocol",
        message: /"target"/,
      })
      assert.throws(() => readRequestHead({ ...request, headers: [text, "x"] }), {
        code: "protocol",
        message: /"headers"/,
      })
      assert.throws(() => readRequestHead({ ...request, headers: ["x", text] }), {
        code: "protocol",
        message: /"headers"/,
      })
      assert.throws(() => readResponseHead({ ...response, reason: text }), { code: "protocol", message: /"reason"/ })
    })
  }

  const wrongRequests: JsonObject[] = [
    {},
    { ...request, method: 1 },
    { ...request, method: "" },
    { ...request, method: "A B" },
    { ...request, method: "CONNECT" },
    { ...request, target: undefined },
    { ...request, target: "" },
    { ...request, target: "x" },
    { ...request, target: "*" },
    { ...request, target: "http://a.test/" },
    { ...request, target: "/a b" },
    { ...request, target: "/a#b" },
    { ...request, minor: 2 },
    { ...request, minor: "1" },
    { ...request, headers: {} },
    { ...request, headers: ["X"] },
    { ...request, headers: ["X", 1] },
    { ...request, headers: [null, "x"] },
    { ...request, headers: ["", "x"] },
    { ...request, headers: ["X:", "x"] },
    { ...request, headers: ["X y", "x"] },
    { ...request, headers: ["X", " padded"] },
    { ...request, headers: ["X", "padded\t"] },
    { ...request, headers: ["X", "y".repeat(65_536)] },
    { ...request, target: `/${"y".repeat(65_536)}` },
    { ...request, headers: Array.from({ length: 40_000 }, () => "x") },
  ]
  const wrongResponses: JsonObject[] = [
    {},
    ...[99, 1000, 200.5, -200, NaN, "200", null].map((status) => ({ ...response, status })),
    { ...response, reason: undefined },
    { ...response, minor: null },
    { ...response, headers: "X: y" },
  ]
  test("from JSON of the wrong shape or size are refused", () => {
    for (const json of wrongRequests)
      assert.throws(() => readRequestHead(json), { code: "protocol" }, JSON.stringify(json).slice(0, 80))
    for (const json of wrongResponses)
      assert.throws(() => readResponseHead(json), { code: "protocol" }, JSON.stringify(json))
    assert.throws(() => readHeaders(undefined), { code: "protocol" })
  })

  test("from JSON may carry keys that are not known yet", () => {
    assert.deepEqual(readRequestHead({ ...request, later: true }), request)
    assert.deepEqual(readRequestHead({ ...request, method: "OPTIONS", target: "*" }).target, "*")
  })
})
