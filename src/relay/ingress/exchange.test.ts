import assert from "node:assert/strict"
import { test } from "node:test"
import type { Stream } from "../../base/stream.ts"
import { Exchange } from "./exchange.ts"
import type { AnswerOutlet } from "./exchange.ts"

test("interim answers without end fail the exchange before they fill the memory", () => {
  let written = 0
  const failed: string[] = []
  const resets: string[] = []
  const stream = { reset: (code: string) => void resets.push(code) } as unknown as Stream
  const outlet = {
    retiring: false,
    write: (bytes: Uint8Array) => void (written += bytes.length),
    failed: (_exchange: Exchange, error: { code: string }) => void failed.push(error.code),
  } as unknown as AnswerOutlet
  const exchange = new Exchange(stream, { method: "GET", minor: 1, persists: true, upgrades: false }, outlet)
  const hint = { status: 103, reason: "Early Hints", headers: ["Link", "x".repeat(1000)] }
  for (let count = 0; count < 1000; count++) exchange.meta(hint)
  assert.ok(written > 100_000 && written <= 128 * 1024, `${written}`)
  assert.deepEqual([failed, resets], [["bad_response"], ["bad_response"]])
})
