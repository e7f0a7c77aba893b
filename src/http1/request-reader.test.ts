import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { latin1Encode } from "../base/text.ts"
import { HttpError } from "./http-error.ts"
import { RequestReader } from "./request-reader.ts"
import type { RequestFraming } from "./framing.ts"
import type { RequestHead } from "./head.ts"

interface Sample {
  readonly name: string
  readonly raw: string
  readonly head: RequestHead
  readonly framing?: RequestFraming
}

const host = "Host: a.test\r\n"

const accepted: Sample[] = [
  {
    name: "a plain GET",
    raw: `GET / HTTP/1.1\r\n${host}\r\n`,
    head: { method: "GET", target: "/", minor: 1, headers: ["Host", "a.test"] },
  },
  {
    name: "spelling, order, repeated fields and empty values",
    raw: "GET /x?y=%20&z HTTP/1.1\r\nhOsT:a.test:8080\r\nX-B: 1\r\nX-A:\r\nx-b:\t two  words \t\r\n\r\n",
    head: {
      method: "GET",
      target: "/x?y=%20&z",
      minor: 1,
      headers: ["hOsT", "a.test:8080", "X-B", "1", "X-A", "", "x-b", "two  words"],
    },
  },
  {
    name: "octets beyond ASCII in value and target",
    raw: `GET /caf\u00c3\u00a9|"{} HTTP/1.1\r\n${host}X: \u0080\u00ff\tz\r\n\r\n`,
    head: {
      method: "GET",
      target: '/caf\u00c3\u00a9|"{}',
      minor: 1,
      headers: ["Host", "a.test", "X", "\u0080\u00ff\tz"],
    },
  },
  {
    name: "a length",
    raw: `POST /p HTTP/1.1\r\n${host}Content-Length: 12\r\n\r\n`,
    head: { method: "POST", target: "/p", minor: 1, headers: ["Host", "a.test", "Content-Length", "12"] },
    framing: { kind: "length", length: 12 },
  },
  {
    name: "a length of zero",
    raw: `POST /p HTTP/1.1\r\n${host}content-length:0\r\n\r\n`,
    head: { method: "POST", target: "/p", minor: 1, headers: ["Host", "a.test", "content-length", "0"] },
    framing: { kind: "length", length: 0 },
  },
  {
    name: "the largest exact length",
    raw: `PUT /p HTTP/1.1\r\n${host}Content-Length: 9007199254740991\r\n\r\n`,
    head: { method: "PUT", target: "/p", minor: 1, headers: ["Host", "a.test", "Content-Length", "9007199254740991"] },
    framing: { kind: "length", length: 9007199254740991 },
  },
  {
    name: "chunked in any case",
    raw: `POST /p HTTP/1.1\r\n${host}Transfer-Encoding: Chunked\r\n\r\n`,
    head: { method: "POST", target: "/p", minor: 1, headers: ["Host", "a.test", "Transfer-Encoding", "Chunked"] },
    framing: { kind: "chunked" },
  },
  {
    name: "any token as the method",
    raw: `get-it! /p HTTP/1.1\r\n${host}\r\n`,
    head: { method: "get-it!", target: "/p", minor: 1, headers: ["Host", "a.test"] },
  },
  {
    name: "one empty line before the request line",
    raw: `\r\nGET / HTTP/1.1\r\n${host}\r\n`,
    head: { method: "GET", target: "/", minor: 1, headers: ["Host", "a.test"] },
  },
  {
    name: "OPTIONS *",
    raw: `OPTIONS * HTTP/1.1\r\n${host}\r\n`,
    head: { method: "OPTIONS", target: "*", minor: 1, headers: ["Host", "a.test"] },
  },
  {
    name: "HTTP/1.0 without Host",
    raw: "GET / HTTP/1.0\r\n\r\n",
    head: { method: "GET", target: "/", minor: 0, headers: [] },
  },
  {
    name: "an IPv6 host with a port",
    raw: "GET / HTTP/1.1\r\nHost: [2001:db8::1]:65535\r\n\r\n",
    head: { method: "GET", target: "/", minor: 1, headers: ["Host", "[2001:db8::1]:65535"] },
  },
  {
    name: "absolute-form, whose authority wins over Host",
    raw: "GET http://real.test:81/p?q HTTP/1.1\r\nA: 1\r\nHost: other.test\r\n\r\n",
    head: { method: "GET", target: "/p?q", minor: 1, headers: ["A", "1", "Host", "real.test:81"] },
  },
  {
    name: "absolute-form without a path",
    raw: "GET HTTPS://real.test?q HTTP/1.1\r\nHost: other.test\r\n\r\n",
    head: { method: "GET", target: "/?q", minor: 1, headers: ["Host", "real.test"] },
  },
  {
    name: "absolute-form of OPTIONS *",
    raw: "OPTIONS http://real.test HTTP/1.1\r\nHost: real.test\r\n\r\n",
    head: { method: "OPTIONS", target: "*", minor: 1, headers: ["Host", "real.test"] },
  },
  {
    name: "absolute-form in HTTP/1.0 without Host",
    raw: "GET http://real.test/ HTTP/1.0\r\n\r\n",
    head: { method: "GET", target: "/", minor: 0, headers: ["Host", "real.test"] },
  },
]

/** [what, raw bytes, status, a part of the detail] */
const refused: [string, string, number, RegExp][] = [
  ["a bare LF behind the request line", `GET / HTTP/1.1\n${host}\r\n`, 400, /LF without CR in the first line/],
  ["a bare LF behind a field", "GET / HTTP/1.1\r\nHost: a.test\n\r\n", 400, /LF without CR in header line 1/],
  ["a bare LF as the empty line", `GET / HTTP/1.1\r\n${host}\n`, 400, /LF without CR/],
  ["a bare LF before the request line", `\nGET / HTTP/1.1\r\n${host}\r\n`, 400, /LF without CR/],
  ["a bare CR in the request line", `GET /\rx HTTP/1.1\r\n${host}\r\n`, 400, /bare CR in the first line/],
  ["a bare CR in a value", `GET / HTTP/1.1\r\n${host}X: a\rb\r\n\r\n`, 400, /bare CR in header line 2/],
  ["a bare CR as a line end", `GET / HTTP/1.1\r\n${host}X: a\rTransfer-Encoding: chunked\r\n\r\n`, 400, /bare CR/],
  ["CR CR LF", `GET / HTTP/1.1\r\n${host}X: a\r\r\n\r\n`, 400, /bare CR/],
  ["NUL in a value", `GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`, 400, /control character 0x00 in header line 2/],
  ["NUL in a name", `GET / HTTP/1.1\r\n${host}X\0: a\r\n\r\n`, 400, /0x00/],
  ["a vertical tab in a value", `GET / HTTP/1.1\r\n${host}X: a\x0bb\r\n\r\n`, 400, /0x0b/],
  ["DEL in a value", `GET / HTTP/1.1\r\n${host}X: a\x7f\r\n\r\n`, 400, /0x7f/],
  ["DEL in the target", `GET /\x7f HTTP/1.1\r\n${host}\r\n`, 400, /0x7f/],
  ["a TLS hello", "\x16\x03\x01\x02\0\x01", 400, /0x16/],
  ["a folded line", `GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`, 400, /folded/],
  ["a line folded by a tab", `GET / HTTP/1.1\r\n${host}X: a\r\n\tb: c\r\n\r\n`, 400, /folded/],
  ["white space before the first field", `GET / HTTP/1.1\r\n ${host}\r\n`, 400, /before the first field/],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", 400, /white space in or behind/],
  ["a tab before the colon", `GET / HTTP/1.1\r\n${host}Content-Length\t: 5\r\n\r\n`, 400, /white space in or behind/],
  ["an empty name", `GET / HTTP/1.1\r\n${host}: a\r\n\r\n`, 400, /without a name/],
  ["a field without a colon", `GET / HTTP/1.1\r\n${host}X\r\n\r\n`, 400, /without a colon/],
  ["a bracket in a name", `GET / HTTP/1.1\r\n${host}X(y): a\r\n\r\n`, 400, /no field name may hold/],
  ["an octet beyond ASCII in a name", `GET / HTTP/1.1\r\n${host}X\u00e9: a\r\n\r\n`, 400, /no field name may hold/],
  ["no Host in HTTP/1.1", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400, /Host field is missing/],
  ["no fields in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", 400, /Host field is missing/],
  ["two Host fields", `GET / HTTP/1.1\r\n${host}HOST: a.test\r\n\r\n`, 400, /more than one Host/],
  ["two Host fields in HTTP/1.0", `GET / HTTP/1.0\r\n${host}${host}\r\n`, 400, /more than one Host/],
  ["no Host beside absolute-form", "GET http://a.test/ HTTP/1.1\r\n\r\n", 400, /Host field is missing/],
  ...[
    "",
    "a test",
    "a.test,b.test",
    "user@a.test",
    "a.test/",
    "http://a.test",
    "a.test:",
    "a.test:x",
    "a.test:65536",
    "a.test:+80",
    "a.test:80:80",
    ":80",
    "[::1",
    "[]",
    "[::1]x",
    "[g::1]",
    "a.test?x",
    "a.test#",
    "a%2etest",
    "\u00e9.test",
  ].map((value): [string, string, number, RegExp] => [
    `the Host ${JSON.stringify(value)}`,
    `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`,
    400,
    /Host is not host or host:port/,
  ]),
  [
    "length and chunked",
    `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    /both/,
  ],
  [
    "chunked and length",
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`,
    400,
    /both/,
  ],
  [
    "two lengths",
    `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
    400,
    /more than one Content-Length/,
  ],
  [
    "two equal lengths",
    `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\ncontent-length: 5\r\n\r\n`,
    400,
    /more than one Content-Length/,
  ],
  ...["+5", "-1", "0x5", "1e3", "5, 5", "5,5", "5 5", "", "5.0", "05", "00", "5a", "\u00b2", "_5", "5;"].map(
    (value): [string, string, number, RegExp] => [
      `the length ${JSON.stringify(value)}`,
      `POST / HTTP/1.1\r\n${host}Content-Length: ${value}\r\n\r\n`,
      400,
      /Content-Length is not a plain number/,
    ],
  ),
  ["a length of 2^53", `POST / HTTP/1.1\r\n${host}Content-Length: 9007199254740992\r\n\r\n`, 400, /too large/],
  ["an endless length", `POST / HTTP/1.1\r\n${host}Content-Length: ${"9".repeat(400)}\r\n\r\n`, 400, /too large/],
  ...["5 ", "5\t", " 5", "\t5"].map((value): [string, string, number, RegExp] => [
    `the length ${JSON.stringify(value)}`,
    `POST / HTTP/1.1\r\n${host}Content-Length: ${value}\r\n\r\n`,
    400,
    /odd white space around the value of Content-Length/,
  ]),
  ...["chunked ", "chunked\t", "\tchunked", " \tchunked", "\t chunked", "  chunked"].map(
    (value): [string, string, number, RegExp] => [
      `the coding ${JSON.stringify(value)}`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding:${value}\r\n\r\n`,
      400,
      /odd white space around the value of Transfer-Encoding/,
    ],
  ),
  ...[
    "",
    "xchunked",
    "chunkedx",
    "chunked, chunked",
    "chunked,",
    ",chunked",
    "chunked, identity",
    "chunked, gzip",
    "identity",
    '"chunked"',
    "chunked;q=1",
    "chunked;",
    "cow",
    "chun ked",
    "gzip\t, chunked",
    "chunked, gzip, chunked",
    "\u00a0chunked",
  ].map((value): [string, string, number, RegExp] => [
    `the coding ${JSON.stringify(value)}`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: ${value}\r\n\r\n`,
    400,
    /Transfer-Encoding is not chunked/,
  ]),
  ...["gzip", "gzip, chunked", "x-gzip,chunked", "deflate, gzip", "cow, chunked"].map(
    (value): [string, string, number, RegExp] => [
      `the coding ${JSON.stringify(value)}`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: ${value}\r\n\r\n`,
      501,
      /no transfer coding but chunked/,
    ],
  ),
  ["a vertical tab before chunked", `POST / HTTP/1.1\r\n${host}Transfer-Encoding: \x0bchunked\r\n\r\n`, 400, /0x0b/],
  [
    "chunked in two fields",
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    /more than one Transfer-Encoding/,
  ],
  [
    "chunked behind another field",
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    /more than one Transfer-Encoding/,
  ],
  ["chunked in HTTP/1.0", `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n`, 400, /in HTTP\/1\.0/],
  ["HTTP/0.9", "GET /\r\n", 400, /does not end in HTTP\/1\.1/],
  ["HTTP/0.9 by name", `GET / HTTP/0.9\r\n${host}\r\n`, 505, /HTTP\/0\.9/],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${host}\r\n`, 505, /HTTP\/1\.2/],
  ["HTTP/2.0", `GET / HTTP/2.0\r\n${host}\r\n`, 505, /HTTP\/2\.0/],
  ["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, /HTTP\/2\.0/],
  ...[
    "HTTP/1.1 ",
    "HTTP/1.1\t",
    "HTTP/1.10",
    "HTTP/1",
    "HTTP/11",
    "http/1.1",
    "HTTP/1.",
    "HTTP /1.1",
    "HTTP/1.1x",
    "ICY/1.1",
  ].map((version): [string, string, number, RegExp] => [
    `the version ${JSON.stringify(version)}`,
    `GET / ${version}\r\n${host}\r\n`,
    400,
    /does not end in HTTP\/1\.1/,
  ]),
  ["two spaces before the target", `GET  / HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["two spaces before the version", `GET /  HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["a tab for a space", `GET\t/ HTTP/1.1\r\n${host}\r\n`, 400, /method/],
  ["a tab before the version", `GET /\tHTTP/1.1\r\n${host}\r\n`, 400, /does not end/],
  ["a leading space", ` GET / HTTP/1.1\r\n${host}\r\n`, 400, /method/],
  ["no target", `GET HTTP/1.1\r\n${host}\r\n`, 400, /no target/],
  ["an empty target", `GET  HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["only a version", `HTTP/1.1\r\n${host}\r\n`, 400, /request line/],
  ["a space in the target", `GET /a b HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["a tab in the target", `GET /a\tb HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["a fragment", `GET /a#b HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["a method that is no token", `G(T / HTTP/1.1\r\n${host}\r\n`, 400, /method/],
  ["a relative target", `GET index.html HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["authority-form without CONNECT", `GET a.test:80 HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["CONNECT", `CONNECT a.test:80 HTTP/1.1\r\n${host}\r\n`, 501, /CONNECT/],
  ["asterisk-form without OPTIONS", `GET * HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["OPTIONS **", `OPTIONS ** HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["absolute-form of another scheme", `GET ftp://a.test/ HTTP/1.1\r\n${host}\r\n`, 400, /target/],
  ["absolute-form without a host", `GET http:///x HTTP/1.1\r\n${host}\r\n`, 400, /target's host/],
  ["absolute-form with a user", `GET http://u@a.test/ HTTP/1.1\r\n${host}\r\n`, 400, /target's host/],
  ["absolute-form with a bad port", `GET http://a.test:99999/ HTTP/1.1\r\n${host}\r\n`, 400, /target's host/],
  ["absolute-form beside a bad Host", "GET http://a.test/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400, /Host is not/],
  ["two empty lines before the request line", `\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n`, 400, /empty line/],
  [
    "a request line of 8 KiB and more",
    `GET /${"x".repeat(8192)} HTTP/1.1\r\n${host}\r\n`,
    414,
    /longer than 8192 bytes/,
  ],
  ["an endless first line", "x".repeat(20_000), 414, /longer than 8192 bytes/],
  [
    "fields of more than 16 KiB",
    `GET / HTTP/1.1\r\n${host}X: ${"y".repeat(16 * 1024 - 18)}\r\n\r\n`,
    431,
    /longer than 16384 bytes/,
  ],
  ["endless fields", `GET / HTTP/1.1\r\n${"X: y\r\n".repeat(5000)}`, 431, /longer than 16384 bytes/],
]

function readAll(raw: Uint8Array, cuts: readonly number[]): ReturnType<RequestReader["push"]> {
  const reader = new RequestReader()
  let from = 0
  for (const cut of [...cuts, raw.length]) {
    const part = new Uint8Array(raw.subarray(from, cut))
    const result = reader.push(part)
    if (result !== undefined) return { ...result, used: from + result.used }
    part.fill(0)
    from = cut
  }
  return undefined
}

function everyByte(raw: Uint8Array): number[] {
  return Array.from(raw, (_, at) => at)
}

describe("the reader of requests", () => {
  for (const { name, raw, head, framing } of accepted) {
    const bytes = latin1Encode(`${raw}rest`)
    const expected = { head, framing: framing ?? { kind: "none" }, used: raw.length }
    test(`accepts ${name}`, () => assert.deepEqual(readAll(bytes, []), expected))
    test(`accepts ${name}, however it is cut`, () => {
      for (let cut = 0; cut <= bytes.length; cut++) assert.deepEqual(readAll(bytes, [cut]), expected)
      assert.deepEqual(readAll(bytes, everyByte(bytes)), expected)
    })
    test(`waits for the end of ${name}`, () => {
      for (let end = 0; end < raw.length; end++) assert.equal(readAll(bytes.subarray(0, end), []), undefined)
    })
  }

  for (const [name, raw, status, detail] of refused) {
    test(`refuses ${name}`, () => {
      const bytes = latin1Encode(raw)
      let whole: unknown
      try {
        readAll(bytes, [])
      } catch (error) {
        whole = error
      }
      assert.ok(whole instanceof HttpError, "it was accepted")
      assert.equal(whole.status, status)
      assert.match(whole.detail, detail)
      assert.doesNotMatch(whole.detail, /[^\x20-\x7e…]/)
      assert.throws(() => readAll(bytes, everyByte(bytes)), { status, detail: whole.detail })
      const step = Math.max(1, bytes.length >> 8)
      for (let cut = 1; cut < bytes.length; cut += step) {
        assert.throws(() => readAll(bytes, [cut]), { status, detail: whole.detail })
      }
    })
  }

  test("says what is wrong with a first line before the head is complete", () => {
    assert.throws(() => new RequestReader().push(latin1Encode("SSH-2.0-OpenSSH_9.6\r\n")), { status: 400 })
  })

  test("16 KiB of fields pass behind the longest request line", () => {
    const line = `GET /${"x".repeat(8192 - 16)} HTTP/1.1\r\n`
    assert.equal(line.length, 8192)
    const fields = `${host}X: ${"y".repeat(16 * 1024 - host.length - 5)}\r\n`
    const raw = latin1Encode(`${line}${fields}\r\n`)
    assert.equal(readAll(raw, [])?.used, raw.length)
    assert.equal(readAll(raw, everyByte(raw))?.used, raw.length)
  })

  test("reads pipelined requests one after the other, from any offset", () => {
    const one = `GET /1 HTTP/1.1\r\n${host}\r\n`
    const two = `\r\nGET /2 HTTP/1.1\r\n${host}\r\n`
    const raw = latin1Encode(`junk${one}${two}`)
    const reader = new RequestReader()
    const first = reader.push(raw, 4)
    assert.equal(first?.head.target, "/1")
    assert.equal(first?.used, 4 + one.length)
    const middle = first.used + 10
    assert.equal(reader.push(raw.subarray(0, middle), first.used), undefined)
    assert.equal(reader.started, true)
    const second = reader.push(raw, middle)
    assert.equal(second?.head.target, "/2")
    assert.equal(second?.used, raw.length)
    assert.equal(reader.started, false)
  })
})
