import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import type { Address } from "./address.ts"
import { parseAddress, printAddress, sessionPath } from "./address.ts"

describe("address", () => {
  const read: [string, Address, string?][] = [
    ["tcp://host:1", { scheme: "tcp", host: "host", port: 1 }],
    ["TLS://host:1/", { scheme: "tls", host: "host", port: 1 }, "tls://host:1"],
    ["tcp://[::1]:7000", { scheme: "tcp", host: "::1", port: 7000 }],
    ["tcp://:0", { scheme: "tcp", host: "", port: 0 }],
    ["unix:/run/rdv.sock", { scheme: "unix", path: "/run/rdv.sock" }],
    ["unix:///run/rdv.sock", { scheme: "unix", path: "/run/rdv.sock" }, "unix:/run/rdv.sock"],
    ["unix:\\\\.\\pipe\\rdv", { scheme: "unix", path: "\\\\.\\pipe\\rdv" }],
    ["wss://relay.example", { scheme: "wss", host: "relay.example", port: 443, path: sessionPath }],
    ["ws://relay.example:8080/a?b=c", { scheme: "ws", host: "relay.example", port: 8080, path: "/a?b=c" }],
    [
      "https://relay.example/",
      { scheme: "https", host: "relay.example", port: 443, path: sessionPath },
      "https://relay.example",
    ],
    ["http://[::1]", { scheme: "http", host: "::1", port: 80, path: sessionPath }],
    ["memory:relay", { scheme: "memory", name: "relay" }],
  ]
  for (const [text, value, printed] of read) {
    test(`${text} is read and printed`, () => {
      assert.deepEqual(parseAddress(text), value)
      assert.equal(printAddress(value), printed ?? text)
    })
  }

  test("a bare host and port take the default scheme", () => {
    assert.deepEqual(parseAddress("localhost:80", "tcp"), { scheme: "tcp", host: "localhost", port: 80 })
    assert.deepEqual(parseAddress(":80", "tls"), { scheme: "tls", host: "", port: 80 })
    assert.deepEqual(parseAddress("[::1]:80", "tcp"), { scheme: "tcp", host: "::1", port: 80 })
    assert.deepEqual(parseAddress("relay.example", "wss"), parseAddress("wss://relay.example"))
    assert.throws(() => parseAddress("localhost:80"), { code: "usage", message: /"localhost:80" has no scheme/ })
  })

  const refused: [string, RegExp, RegExp][] = [
    ["", /has no scheme/, /tcp:\/\//],
    ["ftp://host:1", /unknown scheme "ftp"/, /use one of tcp/],
    ["tcp://host", /has no port/, /host:PORT/],
    ["tcp://host:", /has the port ""/, /0 to 65535/],
    ["tcp://host:65536", /has the port "65536"/, /0 to 65535/],
    ["tcp://host:1e3", /has the port "1e3"/, /0 to 65535/],
    ["tcp://host:1/path", /has a path/, /remove "\/path"/],
    ["tcp://::1:80", /is not host:port/, /brackets/],
    ["tcp://[::1:80", /is not host:port/, /host:port/],
    ["ws://", /has no host/, /host:port/],
    ["ws://host/a#b", /has a path with #/, /encode/],
    ["ws://host/a\r\nb", /has a path/, /encode/],
    ["ws://host?x", /query without a path/, /path/],
    ["unix:", /names no socket file/, /unix:/],
    ["memory:", /has no name/, /memory:name/],
  ]
  for (const [text, what, mend] of refused) {
    test(`${JSON.stringify(text)} is refused with the mend`, () => {
      assert.throws(
        () => parseAddress(text),
        (error: Error & { code?: string; mend?: string }) => {
          assert.equal(error.code, "usage")
          assert.match(error.message, what)
          assert.match(error.mend ?? "", mend)
          return true
        },
      )
    })
  }

  test("a secret before the @ is never repeated", () => {
    assert.throws(
      () => parseAddress("https://token:hunter2@relay.example"),
      (error: Error) => {
        assert.match(error.message, /relay\.example.*carries a user name/)
        assert.doesNotMatch(error.message, /hunter2|token/)
        return true
      },
    )
  })

  test("what is printed is read back as the same", () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6())
    const port = fc.nat(65535)
    const address: fc.Arbitrary<Address> = fc.oneof(
      fc.record({ scheme: fc.constantFrom("tcp" as const, "tls" as const), host, port }),
      fc.record({
        scheme: fc.constantFrom("ws" as const, "wss" as const, "http" as const, "https" as const),
        host,
        port,
        path: fc.constantFrom(sessionPath, "/x", "/a/b?c=d"),
      }),
    )
    fc.assert(fc.property(address, (value) => assert.deepEqual(parseAddress(printAddress(value)), { ...value })))
  })
})
