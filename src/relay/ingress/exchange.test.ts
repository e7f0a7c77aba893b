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

test("trailers of an agent are held to the rules for those of a visitor", () => {
  for (const [name, text, resets] of [
    ["X-Sum", "0\r\nX-Sum: 1\r\n\r\n", []],
    ["Set-Cookie", "0\r\n\r\n", []],
    ["Content-Length", "", ["bad_response"]],
  ] as const) {
    let written = ""
    const reset: string[] = []
    const stream = { reset: (code: string) => void reset.push(code) } as unknown as Stream
    const outlet = {
      retiring: false,
      write: (bytes: Uint8Array) => void (written += Buffer.from(bytes).toString("latin1")),
      flushSoon: (exchange: Exchange) => exchange.flush(),
      answered: () => undefined,
      broken: () => undefined,
    } as unknown as AnswerOutlet
    const exchange = new Exchange(stream, { method: "GET", minor: 1, persists: true, upgrades: false }, outlet)
    exchange.meta({ status: 200, reason: "OK", headers: [] })
    exchange.meta({ trailers: [name, "1"] })
    exchange.end()
    assert.equal(written.slice(written.indexOf("\r\n\r\n") + 4), text, name)
    assert.deepEqual(reset, resets, name)
  }
})

test("an interim answer that the visitor is too old for has been heard all the same", () => {
  let written = 0
  const stream = {} as unknown as Stream
  const outlet = { retiring: false, write: (bytes: Uint8Array) => void (written += bytes.length) }
  const request = { method: "GET", minor: 0, persists: false, upgrades: false } as const
  const exchange = new Exchange(stream, request, outlet as unknown as AnswerOutlet)
  assert.equal(exchange.heard, false)
  exchange.meta({ status: 103, reason: "Early Hints", headers: [] })
  assert.deepEqual([exchange.heard, exchange.answering, written], [true, false, 0])
})

test("bytes beyond the announced length do not give away the memory of those before", () => {
  const did: string[] = []
  const stream = {
    reset: (code: string) => void did.push(`reset ${code}`),
    consumed: (bytes: number) => void did.push(`consumed ${bytes}`),
  } as unknown as Stream
  // The visitor's socket takes nothing for now: what was written is still looked into.
  const outlet = { retiring: false, write: () => undefined, flushSoon: () => undefined, broken: () => undefined }
  const request = { method: "GET", minor: 1, persists: true, upgrades: false } as const
  const exchange = new Exchange(stream, request, outlet as unknown as AnswerOutlet)
  exchange.meta({ status: 200, reason: "OK", headers: ["Content-Length", "40000"] })
  exchange.flush()
  exchange.data(new Uint8Array(40_000))
  exchange.data(new Uint8Array(50_000))
  assert.deepEqual(did, ["reset bad_response"])
})
