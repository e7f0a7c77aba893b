import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../base/error.ts"
import { aboveZero, readByteRate, readBytes, readDuration, readPercent, readRate, wholeFrom } from "./quantity.ts"
import { hostPortText, readHostPort } from "./host-port.ts"

test("quantities are read with their units", () => {
  const cases = [
    [
      readDuration,
      { "0": 0, "500ms": 500, "10s": 10_000, "1.5h": 5_400_000, "1m30s": 90_000, "250us": 0.25, "30d": 2_592e6 },
    ],
    [
      readBytes,
      { "0": 0, "512": 512, "1KB": 1000, "64KiB": 65_536, "10MB": 1e7, "1.5 MiB": 1_572_864, "2gib": 2 ** 31 },
    ],
    [readByteRate, { "100": 100, "10MB/s": 1e7, "64KiB/s": 65_536, "8Mbit/s": 1e6, "56kbit": 7000 }],
    [readRate, { "5000": 5000, "0.5": 0.5, "5000/s": 5000, "300/m": 5, "36/h": 0.01, "0": 0 }],
    [readPercent, { "0%": 0, "0.1%": 0.001, "50%": 0.5, "100 %": 1 }],
    [wholeFrom(1, 9), { "1": 1, "9": 9 }],
  ] as const
  for (const [reader, values] of cases) {
    for (const [text, value] of Object.entries(values)) assert.equal(reader(text), value, text)
  }
})

test("what is no quantity is refused with the forms that are", () => {
  const cases: readonly (readonly [(text: string) => number, string, RegExp, RegExp])[] = [
    [readDuration, "10", /^"10" has no unit$/, /10s or 10ms/],
    [readDuration, "10 s", /is not a duration/, /500ms/],
    [readDuration, "s", /is not a duration/, /500ms/],
    [readDuration, "11y", /is not a duration/, /500ms/],
    [readDuration, "99999d", /is too long/, /ten years/],
    [readBytes, "64k", /is not a number of bytes/, /64KiB/],
    [readBytes, "-1", /is not a number of bytes/, /64KiB/],
    [readBytes, "0.3B", /is not a number of bytes/, /64KiB/],
    [readBytes, "999999999TB", /is not a number of bytes/, /64KiB/],
    [readByteRate, "10MB/m", /is not a number of bytes per second/, /10MB\/s/],
    [readByteRate, "0", /is not a number of bytes per second/, /10MB\/s/],
    [readRate, "5k", /is not a rate/, /5000\/s/],
    [readRate, "5/d", /is not a rate/, /5000\/s/],
    [readPercent, "101%", /is not a percentage/, /50%/],
    [readPercent, "0.5", /is not a percentage/, /50%/],
    [wholeFrom(1, 9), "10", /is not a whole number from 1 to 9/, /change/],
    [aboveZero(readDuration), "0s", /more than 0/, /change/],
  ]
  for (const [reader, text, what, mend] of cases) {
    assert.throws(
      () => reader(text),
      (error: RdvError) => what.test(error.message) && mend.test(error.mend ?? ""),
      text,
    )
  }
})

test("host:port is read with names, IPv4 and IPv6, and printed as it was", () => {
  for (const text of [
    "localhost:80",
    "a-b.example.test:1",
    "127.0.0.1:65535",
    "[::1]:9101",
    "[fe80::1%eth0]:22",
    "db_1:5432",
  ]) {
    assert.equal(hostPortText(readHostPort(text)), text)
  }
  const bad = [
    ["", '"" is not host:port'],
    ["localhost", '"localhost" is not host:port'],
    [":80", '":80" has no host'],
    ["localhost:", '"localhost:" has no port'],
    ["localhost:http", '"localhost:http" has a port that is no number'],
    ["localhost:0", '"localhost:0" has the port 0, which is not from 1 to 65535'],
    ["localhost:65536", '"localhost:65536" has the port 65536, which is not from 1 to 65535'],
    ["::1:80", '"::1:80" has no port, or no brackets'],
    ["::1", '"::1" has no port, or no brackets'],
    ["[::1]", '"[::1]" is not host:port'],
    ["[localhost]:80", '"[localhost]:80" has something else than an IPv6 address in its brackets'],
    ["a b:80", '"a b:80" has a bad host name'],
    ["-a:80", '"-a:80" has a bad host name'],
    ["256.0.0.1:80", '"256.0.0.1:80" has a bad IPv4 address'],
    ["http://a:80", '"http://a:80" is not host:port'],
  ]
  for (const [text = "", message] of bad) assert.throws(() => readHostPort(text), { code: "usage", message }, text)
})

test("no text makes a reader throw anything but a usage error", () => {
  const readers = [readDuration, readBytes, readByteRate, readRate, readPercent, wholeFrom(0, 9), readHostPort]
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom(..."0159.:/[]% ".split(""), "ms", "KiB", "Mbit", "::")).map((all) => all.join("")),
  )
  fc.assert(
    fc.property(fc.constantFrom(...readers), text, (reader, text) => {
      try {
        const value = reader(text)
        if (typeof value === "number") assert.ok(Number.isFinite(value) && value >= 0)
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "usage", String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
