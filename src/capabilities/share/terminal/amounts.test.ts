import assert from "node:assert/strict"
import { test } from "node:test"
import { amount, lasting, percent, took } from "./amounts.ts"

test("amounts are short and change their unit before they have four digits", () => {
  const cases = [0, 1, 999, 1_023, 1_024, 102_348, 102_400, 1_048_575, 1_048_576, 5 * 2 ** 40]
  assert.deepEqual(cases.map(amount), [
    "0 B",
    "1 B",
    "999 B",
    "1023 B",
    "1.0 KiB",
    "99.9 KiB",
    "100 KiB",
    "1.0 MiB",
    "1.0 MiB",
    "5.0 TiB",
  ])
})

test("times have the unit that people would use", () => {
  assert.deepEqual([0, 8_200, 99_499, 185_000, 3_599_000, 9_000_000, 4 * 86_400_000].map(lasting), [
    "0 s",
    "8 s",
    "99 s",
    "3:05 min",
    "59:59 min",
    "2:30 h",
    "4 d",
  ])
  assert.deepEqual([0, 340, 9_949, 9_950, 185_000].map(took), ["0.0 s", "0.3 s", "9.9 s", "10 s", "3:05 min"])
})

test("100 % is everything and nothing less", () => {
  assert.deepEqual([percent(0, 10), percent(999_999, 1_000_000), percent(10, 10), percent(0, 0)], [0, 99, 100, 100])
})
