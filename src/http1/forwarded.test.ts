import assert from "node:assert/strict"
import { test } from "node:test"
import { withForwarded } from "./forwarded.ts"
import { headerValue } from "../base/header-fields.ts"

const facts = { peer: "192.0.2.1", scheme: "https", host: "a.test:8443", trust: false } as const

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
  assert.deepEqual(withForwarded(["Host", "a.test:8443"], facts), ["Host", "a.test:8443", ...ours])
})

test("what a stranger claims to be forwarded is dropped, in any spelling", () => {
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
  assert.deepEqual(withForwarded(headers, facts), ["A", "1", "X-B", "2", "From", "x@y", "TE", "trailers", ...ours])
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
    "X-Real-IP",
    "198.51.100.1",
    "x-forwarded-for",
    "10.0.0.1",
  ]
  assert.deepEqual(withForwarded(headers, { ...facts, host: "a.test", trust: true }), [
    "X-Real-IP",
    "198.51.100.1",
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

test("IPv6 addresses are quoted in Forwarded, mapped IPv4 ones are IPv4, interfaces are not told", () => {
  const forwardedFor = (peer: string) => {
    const headers = withForwarded([], { ...facts, peer, host: undefined })
    return [headerValue(headers, "x-forwarded-for"), headerValue(headers, "forwarded")]
  }
  assert.deepEqual(forwardedFor("2001:db8::1"), ["2001:db8::1", 'for="[2001:db8::1]";proto=https'])
  assert.deepEqual(forwardedFor("::ffff:192.0.2.9"), ["192.0.2.9", "for=192.0.2.9;proto=https"])
  assert.deepEqual(forwardedFor("fe80::1%eth0"), ["fe80::1", 'for="[fe80::1]";proto=https'])
  assert.equal(headerValue(withForwarded([], { ...facts, host: undefined }), "x-forwarded-host"), undefined)
})
