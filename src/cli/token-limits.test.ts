import assert from "node:assert/strict"
import { test } from "node:test"
import type { RdvError } from "../base/error.ts"
import { readTokenLimits, tokenLimitsText } from "./token-limits.ts"

test("limits are read with their units and shown as they were written", () => {
  const all = readTokenLimits(["sessions=5", "visitors=100", "requests=100/s", "bytes=10MB/s"])
  assert.deepEqual(all, { sessions: 5, visitors: 100, requestsPerSecond: 100, bytesPerSecond: 10_000_000 })
  assert.equal(tokenLimitsText(all), "5 sessions, 100 visitors, 100 requests/s, 10 MB/s")
  assert.equal(tokenLimitsText({}), "")
  const shares = readTokenLimits(["shares=1", "share-size=1.5TB", "share-rate=20MiB/s"])
  assert.deepEqual(shares, { shares: 1, shareBytes: 1.5e12, shareBytesPerSecond: 20 * 2 ** 20 })
  assert.equal(tokenLimitsText(shares), "1 share, 1.5 TB a share, 20 MiB/s for shares")
  for (const [written, bytes, shown] of [
    ["1.5GB/s", 1_500_000_000, "1.5 GB/s"],
    ["64KiB/s", 65_536, "64 KiB/s"],
    ["10 MiB/s", 10 * 2 ** 20, "10 MiB/s"],
    ["800kB/s", 800_000, "800 kB/s"],
    ["1234567B/s", 1_234_567, "1234567 B/s"],
  ] as const) {
    const limits = readTokenLimits([`bytes=${written}`])
    assert.equal(limits.bytesPerSecond, bytes)
    assert.equal(tokenLimitsText(limits), shown)
  }
})

test("what is no limit is refused in one line with the mend", () => {
  const bad: [string[], RegExp, RegExp][] = [
    [["request=100/s"], /--limit "request=100\/s" is no limit of a token/, /write sessions=5 or .*bytes=10MB\/s/],
    [["sessions"], /is no limit/, /sessions=5/],
    [["toString=5"], /is no limit/, /sessions=5/],
    [["requests=100"], /"requests=100" has no value that can be used/, /^write requests=100\/s$/],
    [["sessions=5/s"], /has no value/, /^write sessions=5$/],
    [["sessions=0"], /has no value/, /^write sessions=5$/],
    [["bytes=10mb/s"], /has no value/, /^write bytes=10MB\/s$/],
    [["bytes=0.1B/s"], /has no value/, /10MB/],
    [["sessions=5=6"], /has no value/, /^write sessions=5$/],
    [["bytes=1MB/s=2"], /has no value/, /10MB/],
    [["share-size=20GB/s"], /has no value/, /^write share-size=20GB$/],
    [["share-rate=20MB"], /has no value/, /^write share-rate=20MB\/s$/],
    [["bytes=1MB/s", "bytes=2MB/s"], /The limit bytes is given twice/, /leave one out/],
  ]
  for (const [texts, message, mend] of bad) {
    assert.throws(
      () => readTokenLimits(texts),
      (error: RdvError) => error.code === "usage" && message.test(error.message) && mend.test(error.mend ?? ""),
      texts.join(),
    )
  }
})
