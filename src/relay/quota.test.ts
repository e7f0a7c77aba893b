import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import type { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream, StreamSink } from "../base/stream.ts"
import type { TokenLimits } from "../store/token-scopes.ts"
import { defaultRelayLimits } from "./limits.ts"
import { Quota } from "./quota.ts"

/** A session whose streams stay until somebody takes them away; one is its control stream. */
function session() {
  const stream = { header: {}, attach: () => undefined } as unknown as Stream
  const living = {
    streamCount: 1,
    open(_service: string, header: JsonObject) {
      living.streamCount++
      return Object.assign(stream, { header })
    },
  }
  return { living, stream }
}

/** The code of the stream that a visitor gets; undefined for one that lives. */
function codeOf(stream: Stream): string | undefined {
  let code: string | undefined
  const nothing = () => undefined
  const closed = (error: RdvError | undefined) => void (code = error?.code)
  stream.attach({ data: nothing, meta: nothing, end: nothing, drain: nothing, closed } satisfies StreamSink)
  return code
}

const quotaOf = (own: TokenLimits, clock = new FakeClock()) => new Quota(clock, defaultRelayLimits, own)

test("without limits of its own a token's streams are the session's own", () => {
  const { living, stream } = session()
  const quota = quotaOf({})
  quota.sessions.add(living)
  assert.equal(quota.open(living, "http/x", {}), stream)
  assert.equal(quota.remembers, false)
  assert.deepEqual(quota.status(), {
    sessions: 1,
    visitors: 1,
    refused: 0,
    limits: { sessions: 1_000, visitors: 10_000, requestsPerSecond: null, bytesPerSecond: null },
  })
})

test("visitors are counted over all sessions, and who leaves makes room for others", () => {
  const quota = quotaOf({ visitors: 5 })
  const two = [session().living, session().living] as const
  for (const each of two) quota.sessions.add(each)
  const open = (at: 0 | 1) => codeOf(quota.open(two[at], "http/x", {}))
  assert.deepEqual([open(0), open(1), open(0), open(1), open(0)], Array(5).fill(undefined))
  assert.deepEqual([open(0), open(1)], ["limit", "limit"])
  assert.deepEqual([quota.visitors, quota.refused], [5, 2])
  two[0].streamCount -= 2
  assert.deepEqual([open(1), open(1), open(1)], [undefined, undefined, "limit"])
  quota.sessions.delete(two[1])
  assert.equal(open(0), undefined)
})

test("a token cannot have more than the relay allows", () => {
  const { sessions, visitors } = quotaOf({ sessions: 1e9, visitors: 1e9 }).limits
  assert.deepEqual([sessions, visitors], [1_000, 10_000])
})

test("requests over the rate are refused, the burst is a second's worth, and a second later as many come in again", () => {
  const clock = new FakeClock()
  const quota = quotaOf({ requestsPerSecond: 10 }, clock)
  const { living } = session()
  quota.sessions.add(living)
  const burst = () => {
    const codes = Array.from({ length: 15 }, () => codeOf(quota.open(living, "http/x", {})))
    return [codes.filter((code) => code === undefined).length, codes.filter((code) => code === "rate_limited").length]
  }
  assert.deepEqual(burst(), [10, 5])
  clock.advance(500)
  assert.deepEqual(burst(), [5, 10])
  clock.advance(60_000)
  assert.deepEqual(burst(), [10, 5])
  assert.equal(quota.refused, 20)
})

test("heads that come faster than the bytes a second are refused before visitors wait for minutes", () => {
  const clock = new FakeClock()
  const quota = quotaOf({ bytesPerSecond: 10_000 }, clock)
  const { living } = session()
  quota.sessions.add(living)
  const header = { headers: ["cookie", "x".repeat(8_000)] }
  const codes = Array.from({ length: 1_000 }, () => codeOf(quota.open(living, "http/x", header)))
  assert.equal(codes.at(-1), "rate_limited")
  assert.ok(codes.filter((code) => code === undefined).length > 10)
  // What came in is paid for in good time.
  clock.advance(45_000)
  assert.equal(codeOf(quota.open(living, "http/x", header)), undefined)
})
