import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import { concat } from "../base/bytes.ts"
import { latin1Decode, latin1Encode } from "../base/text.ts"
import { ChunkedDecoder, chunkEnd, chunkHeader } from "./chunked.ts"
import { badRequest, badResponse } from "./http-error.ts"
import { lastChunkBytes } from "./write-head.ts"

interface Outcome {
  readonly body: string
  readonly trailers: string[] | undefined
  readonly used: number
}

function decode(bytes: Uint8Array, cuts: readonly number[]): Outcome {
  const decoder = new ChunkedDecoder(badRequest)
  const parts: Uint8Array[] = []
  let trailers: string[] | undefined
  const sink = {
    data: (sub: Uint8Array) => void parts.push(sub.slice()),
    end: (fields: string[]) => {
      assert.equal(trailers, undefined, "end was called twice")
      trailers = fields
    },
  }
  let from = 0
  let used = 0
  for (const cut of [...cuts, bytes.length]) {
    used += decoder.push(bytes.subarray(from, cut), sink)
    from = cut
  }
  assert.equal(decoder.done, trailers !== undefined)
  return { body: latin1Decode(concat(parts)), trailers, used }
}

function everyByte(bytes: Uint8Array): number[] {
  return Array.from(bytes, (_, at) => at)
}

const accepted: [string, string, string, string[]][] = [
  ["an empty body", "0\r\n\r\n", "", []],
  ["chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", []],
  [
    "sizes in any case and with leading zeros",
    "00a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
    "01234567890123456789",
    [],
  ],
  ["line ends in the data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", []],
  ["extensions", '3;a;b=c;d="e;\\" \\\\"\r\nabc\r\n0;last\r\n\r\n', "abc", []],
  ["trailers", "1\r\nx\r\n0\r\nServer-Timing: a\r\nX-Sum:  1 \r\n\r\n", "x", ["Server-Timing", "a", "X-Sum", "1"]],
  [
    "no trailers that should have been fields",
    "0\r\nCookie: a\r\nX: y\r\nContent-Type: b\r\nX-Forwarded-For: c\r\n\r\n",
    "",
    ["X", "y"],
  ],
]

const refused: [string, string, RegExp][] = [
  ["an empty size", "\r\nabc", /size/],
  ["an extension without a size", ";a\r\n", /size/],
  ["a plus sign", "+5\r\nhello\r\n", /plain hexadecimal/],
  ["a minus sign", "-5\r\nhello\r\n", /plain hexadecimal/],
  ["0x", "0x5\r\nhello\r\n", /plain hexadecimal/],
  ["a separator", "1_0\r\n", /plain hexadecimal/],
  ["a letter behind F", "g\r\n", /plain hexadecimal/],
  ["a character 32 below a digit", "\x15\r\n", /plain hexadecimal/],
  ["a space before the size", " 5\r\nhello\r\n", /plain hexadecimal/],
  ["a space behind the size", "5 \r\nhello\r\n", /plain hexadecimal/],
  ["a tab behind the size", "5\t;a\r\nhello\r\n", /plain hexadecimal/],
  ["a size of 2^53", "20000000000000\r\n", /too large/],
  ["a size that overflows 64 bits", "10000000000000005\r\nhello\r\n", /too large/],
  ["endless zeros", "0".repeat(17), /too large/],
  ["LF behind the size", "5\nhello\r\n", /plain hexadecimal/],
  ["CR without LF behind the size", "5\rhello", /CRLF/],
  ["LF behind an extension", "5;a\nhello\r\n", /extension/],
  ["CR in an extension", "5;a\rb\nhello", /CRLF/],
  ["CR in a quoted extension", '5;a="\r\n"\r\nhello', /extension/],
  ["an empty extension", "5;\r\nhello\r\n", /extension/],
  ["an extension without its value", "5;a=\r\nhello\r\n", /extension/],
  ["white space in an extension", "5; a\r\nhello\r\n", /extension/],
  ["text behind a quoted extension", '5;a="b"c\r\nhello\r\n', /extension/],
  ["16 KiB of extensions", `5;${"a".repeat(16 * 1024)}\r\n`, /extensions are longer/],
  ["16 KiB of extensions over many chunks", `1;${"a".repeat(99)}\r\nx\r\n`.repeat(200), /extensions are longer/],
  ["LF behind the data", "1\r\nx\n0\r\n\r\n", /longer than its size/],
  ["data longer than its size", "1\r\nxy\r\n0\r\n\r\n", /longer than its size/],
  ["CR without LF behind the data", "1\r\nx\r0\r\n\r\n", /does not end in CRLF/],
  ["LF behind the last chunk", "0\n\r\n", /plain hexadecimal/],
  ["LF for the last line", "0\r\n\n", /LF without CR/],
  ["LF behind a trailer", "0\r\nA: b\n\r\n", /LF without CR/],
  ["a bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", /bare CR/],
  ["a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", /folded/],
  ["16 KiB of trailers", `0\r\n${"A: bcdefgh\r\n".repeat(1400)}\r\n`, /trailer fields are longer than 16384/],
  ["Content-Length as a trailer", "0\r\nContent-Length: 5\r\n\r\n", /would change the message/],
  ["Transfer-Encoding as a trailer", "0\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n", /would change the message/],
  ["Host as a trailer", "0\r\nHost: a\r\n\r\n", /would change the message/],
]

describe("the decoder of chunked bodies", () => {
  for (const [name, raw, body, trailers] of accepted) {
    test(`accepts ${name}, however they are cut`, () => {
      const bytes = latin1Encode(`${raw}0\r\n\r\nGET /`)
      const expected = { body, trailers, used: raw.length }
      assert.deepEqual(decode(bytes, []), expected)
      for (let cut = 0; cut <= bytes.length; cut++) assert.deepEqual(decode(bytes, [cut]), expected)
      assert.deepEqual(decode(bytes, everyByte(bytes)), expected)
    })
  }

  for (const [name, raw, message] of refused) {
    test(`refuses ${name}`, () => {
      const bytes = latin1Encode(raw)
      const status = name === "16 KiB of trailers" ? 431 : 400
      assert.throws(() => decode(bytes, []), { status, message })
      assert.throws(() => decode(bytes, everyByte(bytes)), { status, message })
    })
  }

  test("gives a response's errors as bad_response", () => {
    const decoder = new ChunkedDecoder(badResponse)
    assert.throws(() => decoder.push(latin1Encode("x"), { data() {}, end() {} }), { code: "bad_response" })
  })

  test("passes data on by reference, a whole chunk as it is", () => {
    const decoder = new ChunkedDecoder(badRequest)
    const seen: Uint8Array[] = []
    const sink = { data: (sub: Uint8Array) => void seen.push(sub), end() {} }
    const first = latin1Encode("junk8\r\nabcd")
    assert.equal(decoder.push(first, sink, 4), first.length)
    const second = latin1Encode("efgh")
    decoder.push(second, sink)
    assert.equal(seen[0]?.buffer, first.buffer)
    assert.equal(latin1Decode(seen[0] as Uint8Array), "abcd")
    assert.equal(seen[1], second)
  })

  test("reads what the writer wrote, cut anywhere", () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 })
    const names = fc.stringMatching(/^X-[a-z0-9]{1,8}$/)
    const trailers = fc.array(fc.tuple(names, fc.stringMatching(/^[!-~]([ -~]{0,8}[!-~])?$/)), { maxLength: 3 })
    fc.assert(
      fc.property(bodies, trailers, fc.array(fc.nat(300), { maxLength: 5 }), (chunks, fields, places) => {
        const flat = fields.flat()
        const framed = chunks.flatMap((chunk) => [chunkHeader(chunk.length), chunk, chunkEnd])
        const bytes = concat([...framed, lastChunkBytes(flat)])
        const cuts = places.filter((place) => place < bytes.length).sort((a, b) => a - b)
        const expected = { body: latin1Decode(concat(chunks)), trailers: flat, used: bytes.length }
        assert.deepEqual(decode(bytes, cuts), expected)
      }),
      { numRuns: 300 },
    )
  })
})

test("a chunk without data cannot be written, as it would end the body", () => {
  assert.throws(() => chunkHeader(0), { code: "internal" })
  assert.throws(() => lastChunkBytes(["A", "b\r\nC: d"]), { code: "protocol" })
  assert.equal(latin1Decode(chunkHeader(65536)), "10000\r\n")
})
