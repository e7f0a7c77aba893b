/**
 * A second opinion: whatever is accepted here, Node's own parser must understand in the same way, request for request
 * over one connection, bodies and all. The other direction does not matter: Node accepts more.
 */

import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer, METHODS } from "node:http"
import { connect } from "node:net"
import { after, test } from "node:test"
import fc from "fast-check"
import { concat } from "../base/bytes.ts"
import { latin1Decode, latin1Encode } from "../base/text.ts"
import { ChunkedDecoder } from "./chunked.ts"
import { persists } from "./framing.ts"
import { badRequest, HttpError } from "./http-error.ts"
import { RequestReader } from "./request-reader.ts"
import type { IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"

interface Seen {
  readonly method: string
  readonly target: string
  readonly minor: number
  readonly headers: readonly string[]
  readonly body: string
}

const heads = [
  "GET /a?b=c HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "GET / HTTP/1.0\r\nConnection: keep-alive\r\nX: y\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: a.test:80\r\nX-Empty:\r\nX-Pad: \t a\tb \r\n\r\n",
  "POST /p HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\n\r\nhello",
  "PUT /p HTTP/1.1\r\nhost: a\r\nContent-Length: 12\r\nExpect: x\r\n\r\nGET / HTTP/1",
  "POST /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "POST /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: CHUNKED\r\n\r\nA;x=y\r\n0123456789\r\n1;z\r\n!\r\n00\r\nX-T: 1\r\n\r\n",
  "POST /c HTTP/1.1\r\nHost: a.test\r\nX-\u00e9: \u00ff\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\nabc",
]

const splices = [
  "\r",
  "\n",
  "\r\n",
  "\r\n\r\n",
  " ",
  "\t",
  "\x0b",
  "\0",
  ":",
  ",",
  ";",
  "=",
  "0",
  "1",
  "5",
  "a",
  "F",
  "x",
  "+",
  "-",
  '"',
  "\\",
  "\x80",
  "\xa0",
  "\xff",
  "/",
  "#",
  "?",
  "*",
  "chunked",
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding:\tchunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  "Transfer-Encoding: x\r\n",
  "Host: b\r\n",
  " Host: b\r\n",
  "Connection: close\r\n",
  "X: y\n",
  "X: y\r",
  "HTTP/1.1",
  "HTTP/1.0",
  "0\r\n\r\n",
  "0;a\r\n",
  "GET / HTTP/1.1\r\nHost: s\r\n\r\n",
]

/** Requests in sequence, with a few pieces put in anywhere or as a line, put over a byte, or a byte taken out. */
const connections = fc
  .tuple(
    fc.array(fc.constantFrom(...heads), { minLength: 1, maxLength: 3 }),
    fc.array(
      fc.tuple(fc.nat(400), fc.constantFrom("insert", "replace", "remove", "line"), fc.constantFrom(...splices)),
      {
        maxLength: 3,
      },
    ),
  )
  .map(([parts, edits]) => {
    let raw = parts.join("")
    for (const [place, how, piece] of edits) {
      const starts = [...raw.matchAll(/(?<=\n)/g)].map((match) => match.index)
      const at = how === "line" ? (starts[place % starts.length] ?? 0) : place % (raw.length + 1)
      const behind = how === "insert" || how === "line" ? at : at + 1
      raw = raw.slice(0, at) + (how === "remove" ? "" : piece) + raw.slice(behind)
    }
    return raw
  })

const requests: Promise<Seen>[] = []
const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  requests.push(bodyOf(request).then((body) => describe(request, body)))
  request.on("end", () => response.end())
})
server.on("checkContinue", (request, response) => server.emit("request", request, response))
server.on("checkExpectation", (request, response) => server.emit("request", request, response))
server.on("upgrade", (_request, socket) => socket.destroy())
server.on("clientError", (_error, socket) => socket.destroy())

after(() => server.close())

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = []
  try {
    for await (const part of request) parts.push(part as Uint8Array)
  } catch {
    return "(cut off)"
  }
  return latin1Decode(concat(parts))
}

function describe(request: IncomingMessage, body: string): Seen {
  const { method = "", url = "", httpVersionMinor: minor, rawHeaders: headers } = request
  return { method, target: url, minor, headers, body }
}

/** What Node makes of the bytes of one connection that then ends. */
async function nodeReads(raw: Uint8Array): Promise<Seen[]> {
  requests.length = 0
  const { port } = server.address() as AddressInfo
  const socket = connect({ port, host: "127.0.0.1", noDelay: true })
  socket.on("error", () => {})
  socket.resume()
  socket.end(raw)
  await once(socket, "close")
  return Promise.all(requests)
}

/** What is accepted here before the first refusal or the end of the bytes: complete requests only. */
function weRead(raw: Uint8Array): Seen[] {
  const seen: Seen[] = []
  const reader = new RequestReader()
  let at = 0
  try {
    while (at < raw.length) {
      const read = reader.push(raw, at)
      if (read === undefined) break
      const { head, framing } = read
      at = read.used
      let body = ""
      if (framing.kind === "length") {
        if (at + framing.length > raw.length) break
        body = latin1Decode(raw, at, at + framing.length)
        at += framing.length
      } else if (framing.kind === "chunked") {
        const decoder = new ChunkedDecoder(badRequest)
        at = decoder.push(raw, { data: (sub) => void (body += latin1Decode(sub)), end() {} }, at)
        if (!decoder.done) break
      }
      seen.push({ method: head.method, target: head.target, minor: head.minor, headers: head.headers, body })
      if (!persists(head)) break
    }
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
  }
  return seen
}

/** The only two things that Node refuses and we do not: methods beyond its list, and octets beyond ASCII in a target. */
function isRefusedByNode(seen: Seen): boolean {
  return !METHODS.includes(seen.method) || /[\x80-\xff]/.test(seen.target)
}

test("what is accepted here means the same to Node", { timeout: 20_000 }, async () => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  let compared = 0
  const property = fc.asyncProperty(connections, async (raw) => {
    const bytes = latin1Encode(raw)
    const ours = weRead(bytes)
    const refused = ours.findIndex(isRefusedByNode)
    const expected = refused < 0 ? ours : ours.slice(0, refused)
    if (expected.length === 0) return
    const theirs = await nodeReads(bytes)
    assert.deepEqual(theirs.slice(0, expected.length), expected)
    compared += expected.length
  })
  await fc.assert(property, {
    numRuns: 6000,
    plugins: [fc.interruptAfterTimeLimit(2000, { failOnInterrupt: false })],
  })
  assert.ok(compared > 100, `only ${compared} requests were compared`)
})
