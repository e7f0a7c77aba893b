/**
 * What one head costs, in nanoseconds: parse, validate, rewrite, write. By hand: `node bench/micro/http1.ts`. Targets:
 * under 2,000 for a small head, each way.
 */

import { latin1Encode } from "../../src/base/text.ts"
import { badRequest } from "../../src/http1/http-error.ts"
import { ChunkedDecoder } from "../../src/http1/chunked.ts"
import { ForwardedPeer, withForwarded } from "../../src/http1/forwarded.ts"
import { withoutHopByHop } from "../../src/http1/hop-by-hop.ts"
import { readRequestHead, readResponseHead } from "../../src/http1/read-head.ts"
import { RequestReader } from "../../src/http1/request-reader.ts"
import { ResponseReader } from "../../src/http1/response-reader.ts"
import { responseFraming } from "../../src/http1/framing.ts"
import { requestHeadBytes, responseHeadBytes } from "../../src/http1/write-head.ts"

const curl = latin1Encode(
  "GET /index.html HTTP/1.1\r\nHost: blog.example.test\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n",
)
const browser = latin1Encode(
  [
    "GET /blog/2024/a-longer-path?page=2&order=asc HTTP/1.1",
    "Host: blog.example.test",
    "Connection: keep-alive",
    'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Sec-Fetch-Site: none",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-User: ?1",
    "Sec-Fetch-Dest: document",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "",
    "",
  ].join("\r\n"),
)
const answer = latin1Encode(
  [
    "HTTP/1.1 200 OK",
    "Server: nginx/1.24.0",
    "Date: Thu, 21 Nov 2024 03:00:00 GMT",
    "Content-Type: text/html; charset=utf-8",
    "Content-Length: 1024",
    "Last-Modified: Wed, 20 Nov 2024 12:00:00 GMT",
    "Connection: keep-alive",
    'ETag: "673dd1c0-400"',
    "Accept-Ranges: bytes",
    "",
    "",
  ].join("\r\n"),
)

const requests = new RequestReader()
const responses = new ResponseReader()
const small = must(requests.push(curl)).head
const large = must(requests.push(browser)).head
const response = must(responses.push(answer)).head
const peer = new ForwardedPeer("192.0.2.7", "https", false)
const smallJson = JSON.stringify(small)
const body = chunkedBody(16, 1024)
const sink = { data() {}, end() {} }

measure(`parse a request, ${curl.length} bytes, 3 fields`, () => requests.push(curl))
measure(`parse a request, ${browser.length} bytes, 15 fields`, () => requests.push(browser))
measure(`parse a response, ${answer.length} bytes, 8 fields`, () =>
  responseFraming("GET", must(responses.push(answer)).head),
)
measure("write a request, 3 fields", () => requestHeadBytes(small))
measure("write a request, 15 fields", () => requestHeadBytes(large))
measure("write a response, 8 fields", () => responseHeadBytes(response))
measure("validate a request head, 3 fields", () => readRequestHead(small))
measure("validate a request head, 15 fields", () => readRequestHead(large))
measure("validate a response head, 8 fields", () => readResponseHead(response))
measure("drop hop-by-hop fields, 15 fields", () => withoutHopByHop(large.headers, { keepUpgrade: false }))
measure("add forwarded fields, 15 fields", () => withForwarded(large.headers, peer, "blog.example.test"))
measure("for comparison: JSON.parse, 3 fields", () => JSON.parse(smallJson) as unknown)
measure("for comparison: JSON.stringify, 3 fields", () => JSON.stringify(small))
measure("decode a chunked body, 16 chunks of 1 KiB", () => new ChunkedDecoder(badRequest).push(body, sink))

function measure(name: string, run: () => unknown): void {
  const rounds = 200_000
  let best = Infinity
  for (let pass = 0; pass < 5; pass++) {
    const start = performance.now()
    for (let round = 0; round < rounds; round++) run()
    best = Math.min(best, ((performance.now() - start) * 1e6) / rounds)
  }
  console.log(`${best.toFixed(0).padStart(6)} ns  ${name}`)
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("an incomplete sample")
  return value
}

function chunkedBody(chunks: number, size: number): Uint8Array {
  return latin1Encode(`${size.toString(16)}\r\n${"x".repeat(size)}\r\n`.repeat(chunks) + "0\r\n\r\n")
}
