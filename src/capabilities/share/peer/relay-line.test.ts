import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import type { ShareHeader } from "../protocol/control.ts"
import { RelayLine } from "./relay-line.ts"

const ticket = "AAAAAAAAAAAAAAAAAAAAAA"

/** Welcomes the first stream and cuts it; what comes then is answered by `answer`. */
function lineTo(
  clock: FakeClock,
  answer: () => ErrorCode,
): { readonly ends: (ErrorCode | undefined)[]; opens: number } {
  const seen = { ends: [] as (ErrorCode | undefined)[], opens: 0 }
  const line = new RelayLine({
    access: {
      open: () => {
        if (seen.opens++ > 0) return Promise.reject(new RdvError(answer(), "No", { origin: "remote" }))
        const attach = (sink: StreamSink) => {
          queueMicrotask(() => {
            sink.meta({ do: "welcome", you: "me", ticket, connections: false, once: false })
            sink.closed(new RdvError("link_lost"))
          })
        }
        return Promise.resolve({ attach, end: () => undefined, reset: () => undefined } as unknown as Stream)
      },
    },
    clock,
    log: silentLog,
    random: () => 0.5,
    opening: () => ({ header: {} as ShareHeader }),
    events: {
      message: () => undefined,
      table: () => undefined,
      clear: () => undefined,
      down: () => undefined,
      ended: (error) => seen.ends.push(error?.code),
    },
  })
  line.start()
  return seen
}

async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    clock.advance(1_000)
    await settle()
  }
}

for (const code of ["not_found", "limit"] as const) {
  test(`a relay that answers ${code} to who was in may have its reasons, but not for ever`, async () => {
    const clock = new FakeClock()
    const seen = lineTo(clock, () => code)
    await pass(clock, 600_000)
    assert.equal(seen.ends.length, 0)
    assert.ok(seen.opens > 20)
    await pass(clock, 400_000)
    assert.deepEqual([...seen.ends], [code])
  })
}

test("a relay that is away in between is waited for from the beginning", async () => {
  const clock = new FakeClock()
  let answer: ErrorCode = "not_found"
  const seen = lineTo(clock, () => answer)
  await pass(clock, 600_000)
  answer = "link_lost"
  await pass(clock, 60_000)
  answer = "not_found"
  await pass(clock, 600_000)
  assert.equal(seen.ends.length, 0)
})
