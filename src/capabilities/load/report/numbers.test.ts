import assert from "node:assert/strict"
import { test } from "node:test"
import { byteCount, lasting, milliseconds, perSecond, share, whole } from "./numbers.ts"

test("latencies have three significant digits and never change their unit", () => {
  const shown = [0, 42, 1234, 9999.6, 12_345, 99_996, 123_456, 999_960, 1_234_567].map(milliseconds)
  assert.deepEqual(shown, ["0.000", "0.042", "1.234", "10.00", "12.35", "100.0", "123.5", "1,000", "1,235"])
})

test("counts, rates, bytes and times are short", () => {
  assert.deepEqual([999, 1000, 1_234_567].map(whole), ["999", "1,000", "1,234,567"])
  assert.deepEqual([0, 0.524, 12.34, 1999.6].map(perSecond), ["0", "0.52", "12.3", "2,000"])
  assert.deepEqual([12, 999, 1500, 2_340_000].map(byteCount), ["12 B", "999 B", "1.5 kB", "2.34 MB"])
  assert.deepEqual([250, 1500, 60_000, 125_000, 3_780_000].map(lasting), [
    "250 ms",
    "1.5 s",
    "60 s",
    "2 min 5 s",
    "1 h 3 min",
  ])
})

test("a share that is not all does not look like all, and one that is something not like nothing", () => {
  assert.deepEqual(
    [share(1, 1e6), share(999_999, 1e6), share(0, 5), share(5, 5), share(1, 0)],
    ["<0.01 %", ">99.99 %", "0 %", "100 %", ""],
  )
})
