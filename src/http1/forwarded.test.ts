import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { headerValue } from "../base/header-fields.ts"
import { ForwardedPeer, plainAddress, withForwarded } from "./forwarded.ts"

const stranger = new ForwardedPeer("192.0.2.1", "https", false)
const proxy = new ForwardedPeer("192.0.2.1", "https", true)

const ours = [
  "X-Forwarded-For",
  "192.0.2.1",
  "X-Forwarded-Proto",
  "https",
  "X-Forwarded-Host",
  "a.test:8443",
  "Forwarded",
  'for=192.0.2.1;host="a.test:8443";proto=https',
]

test("a visitor's address, scheme and host are told in both notations", () => {
  assert.deepEqual(withForwarded(["Host", "a.test:8443"], stranger, "a.test:8443"), ["Host", "a.test:8443", ...ours])
})

test("each request of a connection is told its own host", () => {
  for (const host of ["a.test", "a.test", undefined, "b.test", undefined, "a.test"]) {
    const headers = withForwarded([], stranger, host)
    assert.equal(headerValue(headers, "x-forwarded-host"), host)
    assert.equal(
      headerValue(headers, "forwarded"),
      `for=192.0.2.1${host === undefined ? "" : `;host=${host}`};proto=https`,
    )
  }
})

const forged = [
  "x-forwarded-for",
  "X-FORWARDED-FOR",
  "X_Forwarded_For",
  "X-Forwarded_For",
  "Forwarded",
  "X-Real-IP",
  "X-Forwarded-Port",
  "X-Forwarded-Prefix",
  "X-Forwarded",
  "X-Original-URL",
  "X-Rewrite-Url",
  "True-Client-IP",
  "CF-Connecting-IP",
  "Client-IP",
]

test("what a stranger claims to be forwarded is dropped, in any spelling", () => {
  const headers = [
    "A",
    "1",
    ...forged.flatMap((name) => [name, "127.0.0.1"]),
    "X-B",
    "2",
    "From",
    "x@y",
    "TE",
    "trailers",
  ]
  assert.deepEqual(withForwarded(headers, stranger, "a.test:8443"), [
    "A",
    "1",
    "X-B",
    "2",
    "From",
    "x@y",
    "TE",
    "trailers",
    ...ours,
  ])
})

test("a trusted proxy's chain is continued, its scheme and host stay", () => {
  const headers = [
    "X-Forwarded-For",
    "198.51.100.1",
    "Forwarded",
    "for=198.51.100.1",
    "X-Forwarded-Proto",
    "http",
    "X-Forwarded-Host",
    "b.test",
    "x-forwarded-for",
    "10.0.0.1",
  ]
  assert.deepEqual(withForwarded(headers, proxy, "a.test", "198.51.100.1"), [
    "X-Forwarded-For",
    "198.51.100.1, 10.0.0.1, 192.0.2.1",
    "X-Forwarded-Proto",
    "http",
    "X-Forwarded-Host",
    "b.test",
    "Forwarded",
    "for=198.51.100.1, for=192.0.2.1;host=a.test;proto=https",
  ])
})

test("of a trusted proxy nothing is kept but the four fields in their own spelling: it may pass on what strangers wrote", () => {
  const kept = withForwarded(
    forged.slice(2).flatMap((name) => [name, "127.0.0.1"]),
    proxy,
    "a.test:8443",
  )
  assert.deepEqual(kept, ours)
  // An empty one says nothing, as if the proxy had left it out.
  const empty = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"].flatMap((name) => [name, ""])
  assert.deepEqual(withForwarded(empty, proxy, "a.test:8443"), ours)
})

test("a trusted proxy that sends no Forwarded has its element written, so that both notations name the same visitor", () => {
  const forwarded = (headers: string[]) =>
    headerValue(withForwarded(headers, proxy, "a.test", "2001:db8::1"), "forwarded")
  const chain = ["X-Forwarded-For", "2001:db8::1"]
  assert.equal(
    forwarded([...chain, "X-Forwarded-Proto", "http", "X-Forwarded-Host", "b.test:8080"]),
    'for="[2001:db8::1]";host="b.test:8080";proto=http, for=192.0.2.1;host=a.test;proto=https',
  )
  assert.equal(forwarded(chain), 'for="[2001:db8::1]";host=a.test;proto=https, for=192.0.2.1;host=a.test;proto=https')
  assert.equal(
    forwarded([...chain, "X-Forwarded-Proto", "http, https"]),
    'for="[2001:db8::1]";host=a.test, for=192.0.2.1;host=a.test;proto=https',
  )
})

test("a Forwarded that breaks the grammar is dropped: it could swallow what is appended", () => {
  const last = "for=192.0.2.1;host=a.test;proto=https"
  const forwarded = (value: string) => headerValue(withForwarded(["Forwarded", value], proxy, "a.test"), "forwarded")
  for (const good of [
    "for=1.2.3.4",
    "For=_hidden;proto=https,for=unknown",
    'for="[2001:db8::1]:80" , by="a\\"b"',
    'for="";x=y',
  ]) {
    assert.equal(forwarded(good), `${good}, ${last}`)
  }
  for (const bad of [
    'for="',
    'for="a\\"',
    "for",
    "for=a;;by=b",
    "for=a,",
    ",for=a",
    "for=[::1]",
    "for = a",
    'for="a"b',
  ]) {
    assert.equal(forwarded(bad), last, bad)
  }
  const started = performance.now()
  for (const filler of ["a=b;", 'a="\\"";', "a=b,", " ", "\t ,", "a"]) forwarded(`${filler.repeat(4_000)}"`)
  assert.ok(performance.now() - started < 500, "hostile ones cost no time")
})

test("IPv6 addresses are quoted in Forwarded, mapped IPv4 ones are IPv4, interfaces are not told", () => {
  const forwardedFor = (address: string) => {
    const headers = withForwarded([], new ForwardedPeer(address, "https", false), undefined)
    return [headerValue(headers, "x-forwarded-for"), headerValue(headers, "forwarded")]
  }
  assert.deepEqual(forwardedFor("2001:db8::1"), ["2001:db8::1", 'for="[2001:db8::1]";proto=https'])
  assert.deepEqual(forwardedFor("::ffff:192.0.2.9"), ["192.0.2.9", "for=192.0.2.9;proto=https"])
  assert.deepEqual(forwardedFor("fe80::1%eth0"), ["fe80::1", 'for="[fe80::1]";proto=https'])
  assert.equal(headerValue(withForwarded([], stranger, undefined), "x-forwarded-host"), undefined)
  fc.assert(fc.property(fc.ipV4(), (address) => assert.equal(plainAddress(`::FFFF:${address}`), address)))
})
