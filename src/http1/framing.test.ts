import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { persists, requestFraming, responseFraming } from "./framing.ts"
import type { ResponseFraming } from "./framing.ts"
import type { RequestHead, ResponseHead } from "./head.ts"

function answer(status: number, headers: string[], minor: 0 | 1 = 1): ResponseHead {
  return { status, reason: "", minor, headers }
}

function request(headers: string[], minor: 0 | 1 = 1): RequestHead {
  return { method: "POST", target: "/", minor, headers }
}

const none: ResponseFraming = { kind: "none" }
const close: ResponseFraming = { kind: "close" }
const tunnel: ResponseFraming = { kind: "tunnel" }
const five: ResponseFraming = { kind: "length", length: 5 }
const length = ["Content-Length", "5"]
const chunked = ["Transfer-Encoding", "chunked"]

describe("the framing of responses", () => {
  const table: [string, string, ResponseHead, ResponseFraming][] = [
    ["HEAD with a length", "HEAD", answer(200, length), none],
    ["HEAD with chunked", "HEAD", answer(200, chunked), none],
    ["100", "POST", answer(100, length), none],
    ["103", "GET", answer(103, []), none],
    ["101", "GET", answer(101, ["Upgrade", "websocket"]), tunnel],
    ["204 with a length", "GET", answer(204, length), none],
    ["304 with a length", "GET", answer(304, length), none],
    ["304 to POST with chunked", "POST", answer(304, chunked), none],
    ["2xx to CONNECT", "CONNECT", answer(200, length), tunnel],
    ["an error to CONNECT", "CONNECT", answer(407, length), five],
    ["a length", "GET", answer(200, length), five],
    ["a length in HTTP/1.0", "GET", answer(200, length, 0), five],
    ["chunked", "GET", answer(500, chunked), { kind: "chunked" }],
    ["205 with a length", "GET", answer(205, length), five],
    ["neither", "GET", answer(200, []), close],
    ["neither, in HTTP/1.0", "GET", answer(200, [], 0), close],
  ]
  for (const [name, method, head, expected] of table) {
    test(name, () => assert.deepEqual(responseFraming(method, head), expected))
  }

  const refused: [string, ResponseHead][] = [
    ["length and chunked", answer(200, [...length, ...chunked])],
    ["two lengths", answer(200, [...length, "content-length", "6"])],
    ["a list of lengths", answer(200, ["Content-Length", "5, 5"])],
    ["another coding", answer(200, ["Transfer-Encoding", "gzip, chunked"])],
    ["a padded coding", answer(200, ["Transfer-Encoding", " chunked "])],
    ["chunked in HTTP/1.0", answer(200, chunked, 0)],
  ]
  for (const [name, head] of refused) {
    test(`${name} is a bad_response`, () => assert.throws(() => responseFraming("GET", head), { code: "bad_response" }))
  }
})

test("a request from JSON is framed by the same rules as one from the wire", () => {
  assert.deepEqual(requestFraming(request([])), none)
  assert.deepEqual(requestFraming(request(length, 0)), five)
  assert.throws(() => requestFraming(request([...length, ...chunked])), { status: 400 })
  assert.throws(() => requestFraming(request(["Transfer-Encoding", "chunked "])), { status: 400 })
  assert.throws(() => requestFraming(request(["Transfer-Encoding", "gzip"])), { status: 501 })
})

test("a connection persists by default in HTTP/1.1 and by request in HTTP/1.0", () => {
  assert.equal(persists(request([])), true)
  assert.equal(persists(request(["Connection", "Upgrade, Close"])), false)
  assert.equal(persists(request([], 0)), false)
  assert.equal(persists(request(["connection", "Keep-Alive"], 0)), true)
  assert.equal(persists(request(["connection", "Keep-Alive, close"], 0)), false)
  assert.equal(persists(answer(200, ["Connection", "x", "Connection", "close"])), false)
})
