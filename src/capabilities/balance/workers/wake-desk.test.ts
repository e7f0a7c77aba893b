import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import type { Wakes } from "../wake/waker.ts"
import { WakeDesk } from "./wake-desk.ts"

/** A target that somebody says is ready. */
class Sleeper implements Wakes {
  readonly state = "asleep"
  readonly watched = true
  readonly waiting: (PromiseWithResolvers<void> & { readonly signal: AbortSignal })[] = []
  users = 0
  refusals = 0

  ready(signal: AbortSignal): Promise<void> {
    const one = { ...Promise.withResolvers<void>(), signal }
    signal.addEventListener("abort", () => one.reject(signal.reason as Error), { once: true })
    this.waiting.push(one)
    return one.promise
  }

  busy(): void {
    this.users++
  }

  idle(): void {
    this.users--
  }

  refused(): void {
    this.refusals++
  }

  update(): void {
    // It stays as it is.
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}

const at = { app: "web", target: "a:1" }

test("answers go to whoever asked; those who left hear nothing", async () => {
  const sleeper = new Sleeper()
  const desk = new WakeDesk(() => sleeper)
  const heard: [number, string | undefined][] = []
  for (const ask of [1, 2, 3]) desk.wake({ kind: "wake", ask, ...at }, (failure) => heard.push([ask, failure?.message]))
  desk.unwake(2)
  assert.equal(sleeper.waiting[1]?.signal.aborted, true)
  sleeper.waiting[0]?.resolve()
  sleeper.waiting[2]?.reject(new RdvError("unreachable", "it does not start"))
  await new Promise(setImmediate)
  assert.deepEqual(heard, [
    [1, undefined],
    [3, "it does not start"],
  ])
})

test("what a dead thread had is taken back, no more and no less", async () => {
  const sleeper = new Sleeper()
  const [dead, alive] = [new WakeDesk(() => sleeper), new WakeDesk(() => sleeper)]
  for (const use of ["busy", "busy", "idle", "busy"] as const) dead.use({ kind: "use", use, ...at })
  alive.use({ kind: "use", use: "busy", ...at })
  dead.wake({ kind: "wake", ask: 1, ...at }, () => assert.fail("nobody is there"))
  dead.clear()
  await new Promise(setImmediate)
  assert.equal(sleeper.users, 1)
  assert.equal(sleeper.waiting[0]?.signal.aborted, true)
  dead.clear()
  assert.equal(sleeper.users, 1)
})

test("a target that is gone is given back to what had started it, and nobody else gets it", () => {
  const [old, fresh] = [new Sleeper(), new Sleeper()]
  let present: Sleeper | undefined = old
  const desk = new WakeDesk(() => present)
  desk.use({ kind: "use", use: "busy", ...at })
  present = undefined
  desk.use({ kind: "use", use: "idle", ...at })
  assert.equal(old.users, 0)
  const answers: string[] = []
  desk.wake({ kind: "wake", ask: 1, ...at }, (failure) => answers.push(failure?.code ?? "ready"))
  assert.deepEqual(answers, ["closed"])
  present = fresh
  desk.use({ kind: "use", use: "busy", ...at })
  assert.deepEqual([old.users, fresh.users], [0, 1])
})
