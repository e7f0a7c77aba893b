import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { Expectation } from "../scenario/scenario.ts"
import { broken, more } from "./answer-reader.ts"
import { HttpAnswer } from "./http-answer.ts"

const get = Buffer.from("GET / HTTP/1.1\r\n\r\n")
const head = Buffer.from("HEAD / HTTP/1.1\r\n\r\n")

interface Outcome {
  readonly kind: "complete" | "more" | "broken"
  readonly used: number
  readonly bytes: number
  readonly wrong: string | undefined
  readonly persists: boolean
}

interface Asked {
  readonly expect?: Expectation
  readonly request?: Buffer
  readonly content?: Buffer
}

const belowFourHundred: Expectation = { kind: "status", codes: [] }

/** Reads one answer that arrives in these parts. */
function read(parts: readonly Buffer[], asked: Asked = {}, reader: HttpAnswer = new HttpAnswer("h:1")): Outcome {
  const { expect = belowFourHundred, request = get, content = Buffer.alloc(0) } = asked
  reader.begin({ bytes: request, content, expect })
  let used = 0
  for (const part of parts) {
    // As in the memory that all share: something else stands around.
    const memory = Buffer.concat([Buffer.from("xx"), part, Buffer.from("\r\n\r\nyy")])
    const end = reader.push(memory, 2, 2 + part.length)
    if (end === broken) return outcome("broken", used, reader)
    if (end >= 0) return outcome("complete", used + end - 2, reader)
    assert.equal(end, more)
    used += part.length
  }
  return outcome(reader.end() ? "complete" : "more", used, reader)
}

function outcome(kind: Outcome["kind"], used: number, reader: HttpAnswer): Outcome {
  const complete = kind === "complete"
  return {
    kind,
    used: kind === "broken" ? 0 : used,
    bytes: kind === "broken" ? 0 : reader.bytes,
    wrong: complete ? reader.wrong?.kind : reader.fault?.kind,
    persists: complete && reader.persists,
  }
}

function readText(text: string, asked?: Asked): Outcome {
  return read([Buffer.from(text, "latin1")], asked)
}

const right = [
  ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true],
  ["a length in capitals and blanks", "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:\t 5 \r\n\r\nhello", true],
  ["the same length twice", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nContent-Length: 5\r\n\r\nhello", true],
  ["no reason", "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", true],
  ["lines that end in LF", "HTTP/1.1 200 OK\ncontent-length: 1\n\nx", true],
  ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\nx\r\n0\r\n\r\n", true],
  [
    "chunks and trailers",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\nC: d\r\n\r\n",
    true,
  ],
  ["no body by its status", "HTTP/1.1 204 No Content\r\n\r\n", true],
  ["no body although a length is told", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", true],
  [
    "interim answers",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
    true,
  ],
  ["its end by the connection's", "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nwhatever comes", false],
  ["a good-bye", "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 1\r\n\r\nx", false],
  ["version 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false],
  ["version 1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", true],
] as const

for (const [what, text, persists] of right) {
  test(`an answer with ${what} is read to its end`, () => {
    const bytes = text.length
    assert.deepEqual(readText(text), { kind: "complete", used: bytes, bytes, wrong: undefined, persists })
  })
}

test("an answer to HEAD has no body, whatever its head says", () => {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
  assert.equal(readText(text, { request: head }).kind, "complete")
  assert.equal(readText(text).kind, "more")
})

test("what stands behind an answer is not of it", () => {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
  assert.equal(readText(`${text}HTTP/1.1`).used, text.length)
})

const wrong = [
  ["another protocol", "SSH-2.0-x\r\n"],
  ["the first letter of another protocol", "X"],
  ["another version", "HTTP/2.0 200 OK\r\n\r\n"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"],
  ["a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx"],
  ["a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx"],
  ["an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"],
  ["a length that no number holds", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"],
  ["length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a coding that was not asked for", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
  ["chunks in version 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a chunk's size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
  ["a chunk longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n"],
  ["a blank before a colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx"],
  ["a line without a colon", "HTTP/1.1 200 OK\r\nnothing\r\n\r\n"],
  ["a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n"],
  ["a control character", "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"],
  ["a lone CR", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"],
  ["another protocol after 101", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"],
  ["a head of more than 64 KiB", `HTTP/1.1 200 OK\r\nA: ${"b".repeat(65600)}\r\n\r\n`],
  ["an endless head", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(11000)}`],
  ["nothing but interim answers", "HTTP/1.1 100 Continue\r\n\r\n".repeat(101)],
] as const

for (const [what, text] of wrong) {
  test(`an answer with ${what} is a protocol error, in one piece and in bytes`, () => {
    assert.equal(readText(text).wrong, "protocol")
    assert.equal(readText(text).kind, "broken")
    assert.equal(read(cutAt(Buffer.from(text, "latin1"), 97)).kind, "broken")
    if (text.length < 1000) assert.equal(read(cutAt(Buffer.from(text, "latin1"), 1)).kind, "broken")
  })
}

test("the expectation judges status, size, echo and pattern", () => {
  const answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
  const failing = "HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\nhello"
  const kind = (text: string, expect: Expectation, content = "") =>
    readText(text, { expect, content: Buffer.from(content) }).wrong
  assert.equal(kind(answer, { kind: "status", codes: [200, 201] }), undefined)
  assert.equal(kind(answer, { kind: "status", codes: [201] }), "status")
  assert.equal(kind(failing, { kind: "status", codes: [503] }), undefined)
  assert.equal(kind(failing, { kind: "status", codes: [] }), "status")
  assert.equal(kind(failing, { kind: "size", bytes: 5 }), "status")
  assert.equal(kind(failing, { kind: "any" }), undefined)
  assert.equal(kind(answer, { kind: "size", bytes: 5 }), undefined)
  assert.equal(kind(answer, { kind: "size", bytes: 6 }), "wrong answer")
  assert.equal(kind(answer, { kind: "echo" }, "hello"), undefined)
  assert.equal(kind(answer, { kind: "echo" }, "hellO"), "wrong answer")
  assert.equal(kind(answer, { kind: "echo" }, "hello!"), "wrong answer")
  assert.equal(kind(answer, { kind: "echo" }, "hell"), "wrong answer")
  assert.equal(kind(answer, { kind: "match", pattern: "^HEL+O$", flags: "gi" }), undefined)
  assert.equal(kind(answer, { kind: "match", pattern: "^HEL+O$", flags: "" }), "wrong answer")
})

const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const fields = fc.array(
  fc
    .tuple(fc.stringMatching(/^[A-Za-z-]{1,20}$/), fc.stringMatching(/^[ -~]{0,60}$/))
    .filter(([name]) => !/^(content-length|transfer-encoding|connection)$/i.test(name)),
  { maxLength: 6 },
)

const answer = fc
  .record({
    interim: fc.array(fc.constantFrom("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"), {
      maxLength: 2,
    }),
    status: fc.constantFrom(200, 201, 204, 301, 304, 404, 500),
    fields,
    framing: fc.constantFrom("length", "chunked"),
    body,
    pieces: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
    trailers: fc.constantFrom("", "A: b\r\n", "X-Sum: 1\r\nX-More: 2\r\n"),
    close: fc.boolean(),
  })
  .map(({ interim, status, fields, framing, body, pieces, trailers, close }) => {
    const lines = [`HTTP/1.1 ${status} Some words`, ...fields.map(([name, value]) => `${name}: ${value}`)]
    if (close) lines.push("Connection: close")
    const none = status === 204 || status === 304
    lines.push(framing === "length" ? `Content-Length: ${body.length}` : "Transfer-Encoding: chunked")
    const top = Buffer.from(`${interim.join("")}${lines.join("\r\n")}\r\n\r\n`, "latin1")
    if (none) return { bytes: top, body: Buffer.alloc(0), status, close }
    return {
      bytes: Buffer.concat([top, framing === "length" ? body : chunks(body, pieces, trailers)]),
      body,
      status,
      close,
    }
  })

function chunks(body: Buffer, pieces: readonly number[], trailers: string): Buffer {
  const parts: Buffer[] = []
  for (let at = 0, turn = 0; at < body.length; turn++) {
    const piece = body.subarray(at, at + (pieces[turn % pieces.length] as number))
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"))
    at += piece.length
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)])
}

function cutAt(bytes: Buffer, ...sizes: readonly number[]): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] as number)
    parts.push(bytes.subarray(at, at + size))
    at += size
  }
  return parts
}

test("a stream of valid answers gives the same outcomes wherever it is cut", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(fc.array(answer, { minLength: 1, maxLength: 4 }), cuts, (answers, sizes) => {
      const whole = new HttpAnswer("h:1")
      const parted = new HttpAnswer("h:1")
      const tiny = new HttpAnswer("h:1")
      for (const { bytes, body, status, close } of answers) {
        const asked: Asked = { expect: { kind: "echo" }, content: body }
        const wrong = status >= 400 ? "status" : undefined
        const expected = { kind: "complete", used: bytes.length, bytes: bytes.length, wrong, persists: !close }
        assert.deepEqual(read([bytes], asked, whole), expected)
        assert.deepEqual(read(cutAt(bytes, ...sizes), asked, parted), expected)
        assert.deepEqual(read(cutAt(bytes, 1), asked, tiny), expected)
      }
    }),
    { numRuns: 200 },
  )
})

test("random and mutated bytes are answers or faults, never a throw", () => {
  const change = fc.record({ at: fc.nat(600), byte: fc.nat(255), kind: fc.constantFrom("set", "drop", "add") })
  const mutated = fc.tuple(answer, fc.array(change, { minLength: 1, maxLength: 5 })).map(([{ bytes }, changes]) => {
    const list = [...bytes]
    for (const { at, byte, kind } of changes) {
      if (kind === "set") list[at % list.length] = byte
      else list.splice(at % list.length, kind === "drop" ? 1 : 0, ...(kind === "add" ? [byte] : []))
    }
    return Buffer.from(list)
  })
  const random = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
  const afterStart = random.map((bytes) => Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n"), bytes]))
  const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 10 })
  fc.assert(
    fc.property(fc.oneof(random, afterStart, mutated), cuts, (bytes, sizes) => {
      const one = read([bytes])
      const many = read(cutAt(bytes, ...sizes))
      // Where it is an answer, it is the same one, however it came.
      if (one.kind === "complete" && many.kind === "complete") assert.deepEqual(many, one)
      else assert.ok(one.kind !== "complete" && many.kind !== "complete", `${one.kind} and ${many.kind}`)
    }),
    { numRuns: 1500 },
  )
})

test("an endless answer is counted, not kept", () => {
  const reader = new HttpAnswer("h:1")
  const expect: Expectation = { kind: "match", pattern: "x", flags: "" }
  reader.begin({ bytes: get, content: Buffer.alloc(0), expect })
  const top = Buffer.from("HTTP/1.1 200 OK\r\n\r\n")
  reader.push(top, 0, top.length)
  const piece = Buffer.alloc(256 * 1024, "y")
  const before = process.memoryUsage().arrayBuffers
  for (let round = 0; round < 400; round++) assert.equal(reader.push(piece, 0, piece.length), more)
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024)
  assert.equal(reader.end(), true)
  assert.equal(reader.wrong?.kind, "wrong answer")
})
