import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { latin1Encode } from "../base/text.ts"
import { ResponseReader } from "./response-reader.ts"
import type { ResponseHead } from "./head.ts"

const accepted: [string, string, ResponseHead][] = [
  [
    "a plain answer",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\n",
    { status: 200, reason: "OK", minor: 1, headers: ["Content-Length", "3", "X", "y"] },
  ],
  [
    "a reason of many words",
    "HTTP/1.0 404 Not  Found\u00e9\r\n\r\n",
    { status: 404, reason: "Not  Found\u00e9", minor: 0, headers: [] },
  ],
  ["an empty reason", "HTTP/1.1 204 \r\n\r\n", { status: 204, reason: "", minor: 1, headers: [] }],
  ["no reason", "HTTP/1.1 204\r\n\r\n", { status: 204, reason: "", minor: 1, headers: [] }],
  ["a status of a future class", "HTTP/1.1 999 x\r\n\r\n", { status: 999, reason: "x", minor: 1, headers: [] }],
  [
    "LF alone as line end",
    "HTTP/1.1 200 OK\nA: b\r\nC: d \n\n",
    { status: 200, reason: "OK", minor: 1, headers: ["A", "b", "C", "d"] },
  ],
  [
    "white space before a colon",
    "HTTP/1.1 200 OK\r\nA \t: b\r\n\r\n",
    { status: 200, reason: "OK", minor: 1, headers: ["A", "b"] },
  ],
  [
    "an empty value",
    "HTTP/1.1 200 OK\r\nA:\r\nB: \t\r\n\r\n",
    { status: 200, reason: "OK", minor: 1, headers: ["A", "", "B", ""] },
  ],
]

const refused: [string, string, RegExp][] = [
  ["another protocol", "220 smtp ready\r\n", /does not start with "HTTP\/1\.1"/],
  ["HTTP/2", "HTTP/2 200\r\n\r\n", /does not start/],
  ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", /does not start/],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", /does not start/],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", /does not start/],
  ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n", /does not start/],
  ["a signed status", "HTTP/1.1 +20 OK\r\n\r\n", /does not start/],
  ["an empty first line", "\r\nHTTP/1.1 200 OK\r\n\r\n", /empty line/],
  ["a bare CR", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", /bare CR/],
  ["NUL", "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", /0x00/],
  ["a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", /folded/],
  ["a name with a space in it", "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", /no field name may hold/],
  ["a field without a colon", "HTTP/1.1 200 OK\r\nabc\r\n\r\n", /without a colon/],
  ["fields of more than 32 KiB", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(6000)}\r\n`, /longer than 32768/],
]

function readAll(bytes: Uint8Array, cuts: readonly number[]): ReturnType<ResponseReader["push"]> {
  const reader = new ResponseReader()
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    const result = reader.push(bytes.subarray(from, cut))
    if (result !== undefined) return { ...result, used: from + result.used }
    from = cut
  }
  return undefined
}

describe("the reader of responses", () => {
  for (const [name, raw, head] of accepted) {
    test(`accepts ${name}, however it is cut`, () => {
      const bytes = latin1Encode(`${raw}\n\r\nbody`)
      const expected = { head, used: raw.length }
      assert.deepEqual(readAll(bytes, []), expected)
      for (let cut = 0; cut <= bytes.length; cut++) assert.deepEqual(readAll(bytes, [cut]), expected)
      assert.deepEqual(
        readAll(
          bytes,
          Array.from(bytes, (_, at) => at),
        ),
        expected,
      )
    })
  }

  for (const [name, raw, message] of refused) {
    test(`refuses ${name} as bad_response`, () => {
      const bytes = latin1Encode(raw)
      assert.throws(() => readAll(bytes, []), { code: "bad_response", message })
      assert.throws(
        () =>
          readAll(
            bytes,
            Array.from(bytes, (_, at) => at),
          ),
        { code: "bad_response", message },
      )
    })
  }

  test("reads interim answers before the final one", () => {
    const bytes = latin1Encode(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    )
    const reader = new ResponseReader()
    const seen: number[] = []
    let used = 0
    for (
      let result = reader.push(bytes);
      result !== undefined;
      result = used < bytes.length ? reader.push(bytes, used) : undefined
    ) {
      seen.push(result.head.status)
      used = result.used
    }
    assert.deepEqual(seen, [100, 103, 200])
    assert.equal(used, bytes.length)
  })
})
