/** Known ambiguous framings, raw, to the relay: each is refused, and not one byte of it reaches the service. */

import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import type { LocalTunnel } from "../kit/local-tunnel.ts"
import { rawOrigin } from "../kit/origin.ts"
import type { RawOrigin } from "../kit/origin.ts"
import { rawClient } from "../kit/raw-http.ts"

let origin: RawOrigin
let tunnel: LocalTunnel
before(async () => {
  origin = await rawOrigin(({ socket }) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
  tunnel = await localTunnel({ target: origin.target })
})
after(async () => {
  await tunnel[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
})

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"

function post(...fields: string[]): string {
  return `POST / HTTP/1.1\r\nHost: HOST\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`
}

/** Name, status, bytes; `HOST` stands for the tunnel's name. A head that is refused must not be passed on in part. */
const heads: readonly (readonly [name: string, status: number, bytes: string])[] = [
  ["both lengths, CL.TE", 400, `${post("Content-Length: 6", "Transfer-Encoding: chunked")}0\r\n\r\nG`],
  ["both lengths, TE.CL", 400, `${post("Transfer-Encoding: chunked", "Content-Length: 4")}5c\r\n${smuggled}`],
  ["two lengths that differ", 400, post("Content-Length: 5", "Content-Length: 6")],
  ["two lengths that agree", 400, post("Content-Length: 5", "Content-Length: 5")],
  ["a list of lengths", 400, post("Content-Length: 5, 5")],
  ["a length with a plus", 400, post("Content-Length: +5")],
  ["a negative length", 400, post("Content-Length: -5")],
  ["a hexadecimal length", 400, post("Content-Length: 0x5")],
  ["an octal length", 400, post("Content-Length: 005")],
  ["a length with an underscore", 400, post("Content-Length: 1_0")],
  ["a length with a space inside", 400, post("Content-Length: 1 0")],
  ["an empty length", 400, post("Content-Length:")],
  ["a length beyond 2^53", 400, post("Content-Length: 99999999999999999999")],
  ["a length that wraps at 2^64", 400, post("Content-Length: 18446744073709551621")],
  ["a float length", 400, post("Content-Length: 5.0")],
  ["a space before the colon of the length", 400, post("Content-Length : 5")],
  ["a space before the colon of the coding", 400, post("Transfer-Encoding : chunked")],
  ["a tab before the colon of the coding", 400, post("Transfer-Encoding\t: chunked")],
  ["a vertical tab before the coding", 400, post("Transfer-Encoding:\x0bchunked")],
  ["a form feed behind the coding", 400, post("Transfer-Encoding: chunked\x0c")],
  ["a NUL in the coding", 400, post("Transfer-Encoding: chunked\0")],
  ["a coding in quotes", 400, post('Transfer-Encoding: "chunked"')],
  ["a coding that is no word we know", 400, post("Transfer-Encoding: xchunked")],
  ["identity as a coding", 400, post("Transfer-Encoding: identity")],
  ["chunked twice", 400, post("Transfer-Encoding: chunked, chunked")],
  ["chunked in two fields", 400, post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")],
  ["chunked and then identity", 400, post("Transfer-Encoding: chunked", "Transfer-Encoding: identity")],
  ["chunked not last", 400, post("Transfer-Encoding: chunked, gzip")],
  ["chunked behind another coding", 501, post("Transfer-Encoding: gzip, chunked")],
  ["another coding", 501, post("Transfer-Encoding: gzip")],
  ["an empty coding", 400, post("Transfer-Encoding:")],
  ["a coding behind a comma", 400, post("Transfer-Encoding: ,chunked")],
  ["a parameter of the coding", 400, post("Transfer-Encoding: chunked;q=1")],
  ["a coding in HTTP/1.0", 400, post("Transfer-Encoding: chunked").replace("1.1", "1.0")],
  ["a folded coding", 400, post("Transfer-Encoding:", " chunked")],
  ["a folded field", 400, post("X: 1", " Content-Length: 5")],
  ["a first field that begins with a space", 400, "POST / HTTP/1.1\r\n Host: HOST\r\n\r\n"],
  ["a bare LF between fields", 400, "POST / HTTP/1.1\r\nHost: HOST\nContent-Length: 5\r\n\r\n"],
  ["a bare LF at the end", 400, "POST / HTTP/1.1\r\nHost: HOST\r\n\nGET"],
  ["a bare CR between fields", 400, "POST / HTTP/1.1\r\nHost: HOST\rContent-Length: 5\r\n\r\n"],
  ["a bare CR in a value", 400, post("X: a\rTransfer-Encoding: chunked")],
  ["a NUL in a value", 400, post("X: a\0b")],
  ["a NUL in a name", 400, post("Content\0Length: 5")],
  ["a field without a colon", 400, post("Content-Length 5")],
  ["a field without a name", 400, post(": 5")],
  ["a name with a space", 400, post("Content Length: 5")],
  ["a name with latin1", 400, post("Content\u2011Length: 5".replace("\u2011", "\xad"))],
  ["no host", 400, "GET / HTTP/1.1\r\n\r\n"],
  ["two hosts", 400, "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n"],
  ["two hosts in one", 400, "GET / HTTP/1.1\r\nHost: HOST, HOST\r\n\r\n"],
  ["a host with a path", 400, "GET / HTTP/1.1\r\nHost: HOST/x\r\n\r\n"],
  ["a host with a user", 400, "GET / HTTP/1.1\r\nHost: a@HOST\r\n\r\n"],
  ["HTTP/2.0", 505, "GET / HTTP/2.0\r\nHost: HOST\r\n\r\n"],
  ["HTTP/1.2", 505, "GET / HTTP/1.2\r\nHost: HOST\r\n\r\n"],
  ["HTTP/0.9", 400, "GET /\r\n\r\n"],
  ["a preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["a version in lower case", 400, "GET / http/1.1\r\nHost: HOST\r\n\r\n"],
  ["a version with a space behind", 400, "GET / HTTP/1.1 \r\nHost: HOST\r\n\r\n"],
  ["two spaces behind the method", 400, "GET  / HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a tab behind the method", 400, "GET\t/ HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a space before the method", 400, " GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a space in the target", 400, "GET /a b HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a request inside the target", 400, "GET / HTTP/1.1 HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a fragment in the target", 400, "GET /a#b HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a target without a slash", 400, "GET a HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a target of another scheme", 400, "GET ftp://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["a target with a user", 400, "GET http://a@HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["CONNECT", 501, "CONNECT HOST:80 HTTP/1.1\r\nHost: HOST\r\n\r\n"],
  ["two empty lines before a request", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n"],
]

for (const [name, status, bytes] of heads) {
  test(`refused with ${status}, nothing passed on: ${name}`, async () => {
    const { answered, first } = await strike(`${bytes}${smuggled}`)
    assert.match(first, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.equal(answered, 1, "what stands behind a refused head is not read")
    assert.equal(origin.received, "")
  })
}

/** The head is in order, so the service may see it; the body breaks, and what follows must not become a request. */
const bodies: readonly (readonly [name: string, body: string])[] = [
  ["a chunk size with 0x", `0x5\r\nhello\r\n0\r\n\r\n`],
  ["a chunk size with a plus", `+5\r\nhello\r\n0\r\n\r\n`],
  ["a negative chunk size", `-5\r\nhello\r\n0\r\n\r\n`],
  ["a chunk size with a space before", ` 5\r\nhello\r\n0\r\n\r\n`],
  ["a chunk size with a space behind", `5 \r\nhello\r\n0\r\n\r\n`],
  ["a chunk size with an underscore", `1_0\r\nhello\r\n0\r\n\r\n`],
  ["an empty chunk size", `\r\nhello\r\n0\r\n\r\n`],
  ["a chunk size that wraps at 2^32", `100000005\r\nhello\r\n0\r\n\r\n`.replace("100000005", "10000000000000005")],
  ["a chunk size that wraps at 2^64", `10000000000000000a\r\nhello\r\n0\r\n\r\n`],
  ["a chunk size that ends in LF", `5\nhello\r\n0\r\n\r\n`],
  ["a chunk size that ends in CR", `5\rhello\r\n0\r\n\r\n`],
  ["a chunk that ends in LF", `5\r\nhello\n0\r\n\r\n`],
  ["a chunk that is longer than its size", `5\r\nhello!\r\n0\r\n\r\n`],
  ["a chunk with two bytes in place of CRLF", `5\r\nhelloXX0\r\n\r\n`],
  ["an extension with a bare LF", `5;a\n=b\r\nhello\r\n0\r\n\r\n`],
  ["an extension with a bare CR", `5;a\rb\r\nhello\r\n0\r\n\r\n`],
  ["an extension without a name", `5;\r\nhello\r\n0\r\n\r\n`],
  ["a last chunk that ends in LF", `0\n\r\n`],
  ["an end of trailers in LF", `0\r\n\n`],
  ["a trailer that would frame", `0\r\nContent-Length: 5\r\n\r\n`],
  ["a trailer that would frame anew", `0\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ["a trailer that would route", `0\r\nHost: other\r\n\r\n`],
  ["a trailer with a space before the colon", `0\r\nX : 5\r\n\r\n`],
  ["a folded trailer", `0\r\nX: 1\r\n 2\r\n\r\n`],
]

for (const [name, body] of bodies) {
  test(`refused with 400, the service's request is broken off: ${name}`, async () => {
    const quiet = await rawOrigin()
    const own = await localTunnel({ target: quiet.target })
    const { answered, first } = await strike(`${post("Transfer-Encoding: chunked")}${body}${smuggled}`, own)
    assert.match(first, /^HTTP\/1\.1 400 /)
    assert.equal(answered, 1)
    assert.ok(!quiet.received.includes("smuggled"), quiet.received)
    assert.ok(!quiet.received.endsWith("\r\n0\r\n\r\n"), "the service must not take the body for complete")
    await own[Symbol.asyncDispose]()
    await quiet[Symbol.asyncDispose]()
  })
}

test("what is in order still passes: the table refuses no honest request", async () => {
  const honest = [
    `GET / HTTP/1.1\r\nHost: HOST\r\n\r\n`,
    `\r\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n`,
    post("Content-Length: 0"),
    `${post("Transfer-Encoding: Chunked")}0\r\n\r\n`,
    `${post("Transfer-Encoding: chunked")}00;a=b;c="d"\r\nX: 1\r\n\r\n`,
  ]
  const passing = await rawOrigin(({ socket }) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
  const own = await localTunnel({ target: passing.target })
  for (const bytes of honest) {
    const client = await rawClient(own.port)
    void client.send(bytes.replaceAll("HOST", own.host))
    assert.equal((await client.answer()).status, 200, bytes)
    client.socket.destroy()
  }
  await own[Symbol.asyncDispose]()
  await passing[Symbol.asyncDispose]()
})

test("a body is never read as a request, and a request never as a body", async () => {
  const passing = await rawOrigin(({ socket }) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
  const own = await localTunnel({ target: passing.target })
  const inner = smuggled.replaceAll("HOST", own.host)
  const client = await rawClient(own.port)
  void client.send(`POST /outer HTTP/1.1\r\nHost: ${own.host}\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`)
  assert.equal((await client.answer()).status, 200)
  assert.equal(client.unreadBytes, 0)
  client.socket.destroy()
  await own[Symbol.asyncDispose]()
  await passing[Symbol.asyncDispose]()
})

/** Sends it, reads until the relay closes, and counts the answers. */
async function strike(bytes: string, to: LocalTunnel = tunnel): Promise<{ answered: number; first: string }> {
  const client = await rawClient(to.port)
  void client.send(bytes.replaceAll("HOST", to.host))
  const all = (await client.rest()).bytes.toString("latin1")
  client.socket.destroy()
  return { answered: all.match(/HTTP\/1\.1 \d{3} [A-Z]/g)?.length ?? 0, first: all }
}
