import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FlightLimit } from "./flight.ts"

const MiB = 2 ** 20

/** Sends as much as the limit allows over a path with this rate and delay; returns the limit after `ms`. */
function run(flight: FlightLimit, bytesPerMs: number, rttMs: number, fromMs: number, ms: number): number {
  let sent = 0
  let acked = 0
  for (let now = fromMs; now < fromMs + ms; now += rttMs) {
    const bytes = Math.min(flight.limit, bytesPerMs * rttMs)
    sent += bytes
    flight.sent(sent, acked, now)
    acked = sent
    flight.acknowledged(acked, now + rttMs)
  }
  return flight.limit
}

test("the flight grows towards twice bandwidth times delay and stays under its cap", () => {
  assert.equal(run(new FlightLimit(MiB, 16 * MiB), 1000, 1, 0, 100), MiB)
  const long = run(new FlightLimit(MiB, 16 * MiB), 50_000, 100, 0, 5000)
  assert.ok(long > (9.5 * MiB) / 1.05 && long <= 16 * MiB, `${long}`)
  assert.equal(run(new FlightLimit(MiB, 16 * MiB), 10_000_000, 100, 0, 5000), 16 * MiB)
})

test("it stays between its bounds for any times and positions, and forgets the path of an old link", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ bytes: fc.nat(5_000_000), waitMs: fc.double({ min: 0, max: 20_000, noNaN: true }) })),
      (steps) => {
        const flight = new FlightLimit(MiB, 16 * MiB)
        let sent = 0
        let now = 0
        for (const { bytes, waitMs } of steps) {
          flight.sent(sent + bytes, sent, now)
          now += waitMs
          sent += bytes
          flight.acknowledged(sent, now)
          assert.ok(flight.limit >= MiB && flight.limit <= 16 * MiB)
        }
        flight.reset()
        assert.equal(flight.limit, MiB)
      },
    ),
  )
})

test("a cap below the usual least is kept", () => {
  assert.equal(new FlightLimit(MiB, 1000).limit, 1000)
})
