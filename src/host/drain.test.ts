import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import type { SessionState } from "../mux/session-options.ts"
import { drainSessions } from "./drain.ts"
import type { Draining } from "./drain.ts"

class FakeSession implements Draining {
  state: SessionState = "live"
  /** The control stream. */
  streamCount = 1
  owed = 0

  status(): { unacknowledgedBytes: number } {
    return { unacknowledgedBytes: this.owed }
  }

  /** The DRAIN frame itself is owed until the peer has acknowledged it. */
  drain(): void {
    this.owed += 8
  }
}

/** How long the drain takes, with what happens at which moment of it. */
async function drained(
  session: FakeSession,
  happens: Record<number, () => void>,
  busy?: () => boolean,
): Promise<number> {
  const clock = new FakeClock(0)
  let over = false
  const draining = drainSessions({ clock, graceMs: 10_000, sessions: () => [session], ...(busy && { busy }) })
  void draining.then(() => (over = true))
  while (!over) {
    happens[clock.now()]?.()
    await clock.pass(20)
  }
  return clock.now()
}

test("a session is drained when its streams have ended and what it sent has arrived", async () => {
  const session = new FakeSession()
  session.streamCount = 3
  const took = await drained(session, { 1_000: () => (session.streamCount = 1), 2_000: () => (session.owed = 0) })
  assert.ok(took >= 2_000 && took <= 2_060, `${took} ms`)
})

test("a session without a link keeps nobody waiting when it had nothing to finish", async () => {
  const session = new FakeSession()
  session.state = "suspended"
  assert.ok((await drained(session, {})) <= 40)
})

test("a session that loses its link in the drain may come back, and is given up when it does not", async () => {
  const lost = new FakeSession()
  const took = await drained(lost, { 1_000: () => (lost.state = "suspended") })
  assert.ok(took >= 3_000 && took <= 3_060, `${took} ms`)
  const back = new FakeSession()
  const tookBack = await drained(back, {
    1_000: () => (back.state = "suspended"),
    2_000: () => (back.state = "live"),
    2_500: () => (back.state = "suspended"),
    4_000: () => Object.assign(back, { state: "live", owed: 0 }),
  })
  assert.ok(tookBack >= 4_000 && tookBack <= 4_060, `${tookBack} ms`)
})

test("streams that a suspended session has open are waited for, up to the deadline", async () => {
  const session = new FakeSession()
  Object.assign(session, { state: "suspended", streamCount: 2 })
  const took = await drained(session, {})
  assert.ok(took >= 10_000 && took <= 10_060, `${took} ms`)
})

test("what is busy beside the sessions is waited for, too", async () => {
  let busy = true
  const session = new FakeSession()
  session.state = "suspended"
  const took = await drained(session, { 3_000: () => (busy = false) }, () => busy)
  assert.ok(took >= 3_000 && took <= 3_060, `${took} ms`)
})
