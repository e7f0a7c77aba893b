import assert from "node:assert/strict"
import { test } from "node:test"
import type { Wakes } from "../wake/waker.ts"
import type { Failure } from "./messages.ts"
import { RemoteWakers } from "./remote-waker.ts"
import { WakeDesk } from "./wake-desk.ts"

/** Started and stopped by the main thread. */
class Sleeper implements Wakes {
  readonly state = "ready"
  readonly watched = true
  users = 0

  ready(): Promise<void> {
    return Promise.resolve()
  }

  busy(): void {
    this.users++
  }

  idle(): void {
    this.users--
  }

  refused(): void {
    // It is never.
  }

  update(): void {
    // It stays as it is.
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}

/** A thread and the desk for it, without the time between them. */
function setUp() {
  const state: { present: Sleeper | undefined } = { present: new Sleeper() }
  const desk = new WakeDesk(() => state.present)
  const answers = new Map<number, (failure: Failure | undefined) => void>()
  let asks = 0
  const wakers = new RemoteWakers({
    wake: (app, target) => {
      const ask = ++asks
      desk.wake({ kind: "wake", ask, app, target }, (failure) => answers.get(ask)?.(failure))
      return ask
    },
    unwake: (ask) => desk.unwake(ask),
    use: (use, app, target) => desk.use({ kind: "use", use, app, target }),
    answered: (ask, answer) => answers.set(ask, answer),
    forget: (ask) => answers.delete(ask),
  })
  return { state, wakers }
}

test("connections that stay while a file no longer starts their target do not bind it to the old start", async () => {
  const { state, wakers } = setUp()
  const old = state.present as Sleeper
  const before = wakers.open("web", "a:1")
  before.busy()
  before.busy()
  // A reload takes the start out, another one brings it back.
  state.present = undefined
  await before.stop()
  assert.equal(old.users, 0)
  const fresh = new Sleeper()
  state.present = fresh
  const after = wakers.open("web", "a:1")
  for (let joined = 0; joined < 2; joined++) after.busy()
  assert.deepEqual([old.users, fresh.users], [0, 2], "who was there is there for the new one")
  await after.ready(new AbortController().signal)
  after.idle()
  after.idle()
  assert.equal(fresh.users, 0)
})

test("words reach every waker of their target until it is stopped", async () => {
  const { wakers } = setUp()
  const [leaving, back] = [wakers.open("web", "a:1"), wakers.open("web", "a:1")]
  const other = wakers.open("web", "b:1")
  wakers.hear("web", "a:1", { state: "ready", watched: true })
  assert.deepEqual([leaving.state, back.state, other.state], ["ready", "ready", "asleep"])
  await leaving.stop()
  wakers.hear("web", "a:1", { state: "asleep", watched: false })
  assert.deepEqual([leaving.state, back.state], ["ready", "asleep"])
})

test("the end of a connection that was joined when its target was not there counts for nobody", () => {
  const { state, wakers } = setUp()
  const sleeper = state.present as Sleeper
  state.present = undefined
  const waker = wakers.open("web", "a:1")
  waker.busy()
  state.present = sleeper
  waker.idle()
  assert.equal(sleeper.users, 0)
})
