import assert from "node:assert/strict"
import { test } from "node:test"
import { withoutHopByHop } from "./hop-by-hop.ts"

function strip(headers: string[], keepUpgrade = false): string[] {
  return withoutHopByHop(headers, { keepUpgrade })
}

test("the fields of one connection end there, the others keep order and spelling", () => {
  const headers = [
    "HOST",
    "a",
    "Connection",
    "keep-alive",
    "Keep-Alive",
    "timeout=5",
    "proxy-connection",
    "close",
    "Proxy-Authenticate",
    "x",
    "Proxy-Authorization",
    "x",
    "Proxy-Authentication-Info",
    "x",
    "TE",
    "gzip",
    "Trailer",
    "X-Sum",
    "Transfer-Encoding",
    "chunked",
    "Upgrade",
    "h2c",
    "HTTP2-Settings",
    "x",
    "x-b",
    "2",
    "X-A",
    "1",
  ]
  assert.deepEqual(strip(headers), ["HOST", "a", "Trailer", "X-Sum", "x-b", "2", "X-A", "1"])
})

test("what Connection names is removed, over several lines and in any case", () => {
  const headers = ["Connection", "close, X-One,,", "X-ONE", "1", "x-two", "2", "X-Three", "3", "connection", "\tX-Two"]
  assert.deepEqual(strip(headers), ["X-Three", "3"])
})

test("Connection cannot take away what others decide by", () => {
  const headers = [
    "Host",
    "a",
    "Content-Length",
    "5",
    "Cookie",
    "c",
    "Authorization",
    "d",
    "X-Forwarded-For",
    "e",
    "Forwarded",
    "f",
    "Cache-Control",
    "g",
    "Content-Type",
    "h",
    "X-Real-IP",
    "i",
  ]
  const names = headers.filter((_, at) => at % 2 === 0).join(", ")
  assert.deepEqual(strip([...headers, "Connection", names]), headers)
})

test("an upgrade is kept only when asked for and named by Connection", () => {
  const headers = ["Upgrade", "websocket", "Connection", "keep-alive, Upgrade", "Sec-WebSocket-Key", "x"]
  assert.deepEqual(strip(headers, true), ["Upgrade", "websocket", "Sec-WebSocket-Key", "x", "Connection", "Upgrade"])
  assert.deepEqual(strip(headers, false), ["Sec-WebSocket-Key", "x"])
  assert.deepEqual(strip(["Upgrade", "websocket"], true), [])
  assert.deepEqual(strip(["Connection", "Upgrade"], true), [])
})

test("an upgrade to HTTP/2, in which no rule would hold, is dropped", () => {
  for (const protocol of ["h2c", "H2C", "websocket, h2c", "h2", "h2c/1"]) {
    assert.deepEqual(
      strip(["Connection", "Upgrade, HTTP2-Settings", "Upgrade", protocol, "HTTP2-Settings", "x"], true),
      [],
    )
  }
  assert.deepEqual(strip(["Connection", "Upgrade", "Upgrade", "h2cx"], true), [
    "Upgrade",
    "h2cx",
    "Connection",
    "Upgrade",
  ])
})

test("of TE only the wish for trailers goes on", () => {
  assert.deepEqual(strip(["TE", "gzip;q=1, Trailers", "Connection", "TE"]), ["TE", "trailers", "Connection", "TE"])
  assert.deepEqual(strip(["TE", "trailersx"]), [])
  assert.deepEqual(strip(["te", "trailers;q=0.5", "Upgrade", "x", "Connection", "TE, upgrade"], true), [
    "Upgrade",
    "x",
    "TE",
    "trailers",
    "Connection",
    "Upgrade, TE",
  ])
})
