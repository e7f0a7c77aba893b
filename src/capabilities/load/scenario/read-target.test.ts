import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import { readResolution, readTarget } from "./read-target.ts"

test("targets are read, and their labels give the same targets", () => {
  const cases: readonly (readonly [text: string, label: string, host: string, port: number, path: string])[] = [
    ["tcp://localhost:7000", "tcp://localhost:7000", "localhost", 7000, ""],
    ["TCP://[::1]:7000/", "tcp://[::1]:7000", "::1", 7000, ""],
    ["tls://a.example:443", "tls://a.example:443", "a.example", 443, ""],
    ["http://localhost", "http://localhost/", "localhost", 80, "/"],
    ["https://Example.test:8443/a?b=c d", "https://example.test:8443/a?b=c%20d", "example.test", 8443, "/a?b=c%20d"],
    ["https://[::1]/", "https://[::1]/", "::1", 443, "/"],
    ["ws://localhost:9000/socket", "ws://localhost:9000/socket", "localhost", 9000, "/socket"],
    ["wss://example.test", "wss://example.test/", "example.test", 443, "/"],
    ["unix:/run/a b.sock", "unix:/run/a b.sock", "", 0, "/run/a b.sock"],
    ["unix:///run/x", "unix:/run/x", "", 0, "/run/x"],
    ["unix:./x", "unix:./x", "", 0, "./x"],
  ]
  for (const [text, label, host, port, path] of cases) {
    const target = readTarget(text)
    assert.deepEqual(target, { label, protocol: label.slice(0, label.indexOf(":")), host, port, path })
    assert.deepEqual(readTarget(label), target)
  }
})

test("what is no target is told with the mend", () => {
  const cases = [
    ["localhost:7000", '"localhost:7000" is no target: write tcp://localhost:7000 or http://localhost:7000'],
    [
      "ftp://a",
      '"ftp://a" is no target: write tcp://host:port, tls://, http://, https://, ws://, wss:// or unix:/path',
    ],
    ["tcp:localhost:1", '"tcp:localhost:1" has no // behind the scheme: write tcp://host:port'],
    ["tcp://localhost", '"localhost" is not host:port: write host:port, 127.0.0.1:9100 or [::1]:9101'],
    ["tcp://a:1/x", '"tcp://a:1/x" has more than a host and a port: write tcp://host:port'],
    ["tcp://u@a:1", '"tcp://u@a:1" has more than a host and a port: write tcp://host:port'],
    ["tcp://a:70000", '"a:70000" has the port 70000, which is not from 1 to 65535: change it'],
    ["http://", '"http://" is no URL: write http://host/path'],
    ["http:a", '"http:a" is no URL: write http://host/path'],
    ["https://a:99999", '"https://a:99999" is no URL: write https://host/path'],
    ["http://a:0", '"http://a:0" has the port 0: change it'],
    ["http://u:p@a", "\"http://u:p@a\" has a user in it: say it with a header: 'Authorization: Basic …'"],
    ["http://a/#b", '"http://a/#b" has a # part, which is never sent: leave it out'],
    ["unix:", '"unix:" has no path: write unix:/path'],
  ] as const
  for (const [text, line] of cases) {
    assert.throws(
      () => readTarget(text),
      (error: RdvError) => assert.equal(`${error.message}: ${error.mend}`, line) === undefined,
    )
  }
})

test("a resolution names a host, perhaps a port of it, and where it is", () => {
  assert.deepEqual(readResolution("A.example=127.0.0.1"), { host: "a.example", port: undefined, address: "127.0.0.1" })
  assert.deepEqual(readResolution("a:80=[::1]"), { host: "a", port: 80, address: "::1" })
  assert.deepEqual(readResolution("[::1]:80=localhost"), { host: "::1", port: 80, address: "localhost" })
  assert.deepEqual(readResolution("[::1]=::2"), { host: "::1", port: undefined, address: "::2" })
  for (const text of ["a", "=b", "a=", "a:99999=b", "a=1.2.3", "a b=c", "[x]:1=a"]) {
    assert.throws(() => readResolution(text), { code: "usage" }, text)
  }
})

test("no text makes it throw anything but a usage error, and what is read is read again from its label", () => {
  const scheme = fc.constantFrom("tcp://", "tls://", "http://", "https://", "ws://", "wss://", "unix:", "")
  const rest = fc.oneof(
    fc.webUrl().map((url) => url.replace(/^https?:\/\//, "")),
    fc.string(),
    fc.ipV6().map((ip) => `[${ip}]:80`),
  )
  fc.assert(
    fc.property(scheme, rest, (scheme, rest) => {
      try {
        const target = readTarget(scheme + rest)
        assert.deepEqual(readTarget(target.label), target)
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "usage", String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
