/** The states of a waker, with time and machines that the test owns. Real programs are in wake-processes.test.ts. */

import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import { defaultTarget } from "../config/defaults.ts"
import type { TargetSettings, WakeSettings } from "../config/settings.ts"
import { Target } from "../target/target.ts"
import type { Machine, MachineOptions } from "./machine.ts"
import { Waker } from "./waker.ts"
import type { WakeState } from "./waker.ts"

const never = new AbortController().signal

const targetSettings: TargetSettings = {
  address: { kind: "tcp", host: "127.0.0.1", port: 9 },
  ...defaultTarget,
}

const processSettings: WakeSettings = {
  how: { kind: "process", command: ["server"], cwd: undefined },
  env: {},
  ready: { kind: "tcp" },
  idleMs: 60_000,
  timeoutMs: 30_000,
  stopMs: 5_000,
  queue: 1000,
}

/** Machines that the test steers: what answers, what fails, what ends. */
class Desk {
  readonly clock: FakeClock = new FakeClock()
  readonly target: Target = new Target(targetSettings, this.clock)
  readonly states: WakeState[] = []
  readonly machines: FakeMachine[] = []
  /** The port answers. */
  answers = false
  /** A machine answers so long after its start; undefined: never. */
  bootMs: number | undefined = 1_000
  startFails: string | undefined
  stopTakesMs = 0
  readonly waker: Waker

  constructor(settings: Partial<WakeSettings> = {}) {
    this.waker = new Waker({
      target: this.target,
      settings: { ...processSettings, ...settings },
      clock: this.clock,
      log: silentLog,
      random: () => 0.999_999,
      probe: () =>
        this.answers ? Promise.resolve() : Promise.reject(new RdvError("unreachable", "connection refused")),
      onState: (state) => this.states.push(state),
      make: (options) => {
        const machine = new FakeMachine(this, options)
        this.machines.push(machine)
        return machine
      },
    })
  }

  /** The outcome of a call so far. */
  call(signal: AbortSignal = never): { outcome: string; error: RdvError | undefined } {
    const call: { outcome: string; error: RdvError | undefined } = { outcome: "waits", error: undefined }
    this.waker.ready(signal).then(
      () => (call.outcome = "ready"),
      (error: RdvError) => {
        call.outcome = error.code ?? "aborted"
        call.error = error
      },
    )
    return call
  }

  async awake(): Promise<void> {
    const call = this.call()
    await this.clock.pass(2_000)
    assert.equal(call.outcome, "ready")
  }
}

class FakeMachine implements Machine {
  readonly watched: boolean
  stops = 0
  releases = 0
  readonly #desk: Desk
  readonly #options: MachineOptions
  isOver = false

  constructor(desk: Desk, options: MachineOptions) {
    this.#desk = desk
    this.#options = options
    this.watched = options.settings.how.kind === "process"
  }

  start(): Promise<void> {
    const { clock, startFails, bootMs } = this.#desk
    if (startFails !== undefined) return Promise.reject(new RdvError("unreachable", startFails))
    if (bootMs !== undefined) clock.after(bootMs, () => (this.#desk.answers = !this.isOver))
    return Promise.resolve()
  }

  end(reason: string): void {
    this.isOver = true
    this.#desk.answers = false
    this.#options.onEnd(reason)
  }

  async stop(): Promise<void> {
    this.stops++
    assert.equal(this.stops, 1)
    const { clock, stopTakesMs } = this.#desk
    if (stopTakesMs > 0) await new Promise<void>((resolve) => clock.after(stopTakesMs, resolve))
    this.isOver = true
    this.#desk.answers = false
  }

  release(): void {
    this.releases++
    this.isOver = true
  }
}

test("a thousand callers start it once, and all go on when it answers", async () => {
  const desk = new Desk()
  const calls = Array.from({ length: 1_000 }, () => desk.call())
  await desk.clock.pass(900)
  assert.equal(desk.waker.state, "starting")
  assert.equal(desk.waker.waiting, 1_000)
  await desk.clock.pass(600)
  assert.ok(calls.every(({ outcome }) => outcome === "ready"))
  assert.equal(desk.machines.length, 1)
  assert.equal(desk.target.totals.wakes, 1)
  assert.deepEqual(desk.states, ["starting", "ready"])
})

test("more callers than may wait are refused with a limit", async () => {
  const desk = new Desk({ queue: 2 })
  const calls = [desk.call(), desk.call(), desk.call()]
  await desk.clock.pass(2_000)
  assert.deepEqual(
    calls.map(({ outcome }) => outcome),
    ["ready", "ready", "limit"],
  )
  assert.match(calls[2]?.error?.message ?? "", /127\.0\.0\.1:9 is being started, and 2 connections wait/)
})

test("a caller that leaves is not counted any more, and the start goes on", async () => {
  const desk = new Desk({ queue: 1 })
  const leaving = new AbortController()
  const first = desk.call(leaving.signal)
  leaving.abort(new RdvError("cancelled"))
  await settle()
  assert.equal(first.outcome, "cancelled")
  const second = desk.call()
  await desk.clock.pass(2_000)
  assert.equal(second.outcome, "ready")
  assert.equal(desk.machines.length, 1)
})

test("it is stopped when nobody was there for the idle time, and started again by the next caller", async () => {
  const desk = new Desk()
  await desk.awake()
  desk.waker.busy()
  desk.waker.busy()
  await desk.clock.pass(600_000)
  desk.waker.idle()
  await desk.clock.pass(600_000)
  assert.equal(desk.waker.state, "ready", "somebody is still there")
  desk.waker.idle()
  await desk.clock.pass(59_000)
  assert.equal(desk.waker.state, "ready")
  await desk.clock.pass(1_500)
  assert.equal(desk.waker.state, "asleep")
  assert.equal(desk.machines[0]?.stops, 1)
  await desk.awake()
  assert.equal(desk.machines.length, 2)
  assert.deepEqual(desk.states, ["starting", "ready", "stopping", "asleep", "starting", "ready"])
})

test("whoever was told that it is ready has time to come, however short the idle time is", async () => {
  const desk = new Desk({ idleMs: 10 })
  await desk.awake()
  await desk.clock.pass(2_000)
  assert.equal(desk.waker.state, "ready")
  desk.waker.busy()
  await desk.clock.pass(60_000)
  desk.waker.idle()
  await desk.clock.pass(11)
  assert.equal(desk.waker.state, "asleep")
})

test("a caller during the stop waits until it is over, and starts it again", async () => {
  const desk = new Desk({ idleMs: 6_000 })
  desk.stopTakesMs = 3_000
  await desk.awake()
  await desk.clock.pass(6_000)
  assert.equal(desk.waker.state, "stopping")
  const call = desk.call()
  await desk.clock.pass(2_000)
  assert.equal(desk.machines.length, 1)
  await desk.clock.pass(3_000)
  assert.equal(call.outcome, "ready")
  assert.equal(desk.machines.length, 2)
})

test("what is not ready in time is stopped, and callers hear why", async () => {
  const desk = new Desk({ timeoutMs: 3_000 })
  desk.bootMs = undefined
  const call = desk.call()
  await desk.clock.pass(3_001)
  assert.equal(call.outcome, "timeout")
  assert.equal(call.error?.message, "127.0.0.1:9 was not ready within 3000 ms: connection refused")
  assert.equal(desk.machines[0]?.stops, 1)
  assert.equal(desk.waker.state, "failed")
})

test("while a start that failed backs off, callers are refused at once and nothing is started", async () => {
  const desk = new Desk()
  desk.startFails = "there is no program server"
  const first = desk.call()
  await settle(20)
  assert.equal(first.error?.message, "127.0.0.1:9 could not be started: there is no program server")
  const second = desk.call()
  await settle()
  assert.equal(second.outcome, "unreachable")
  assert.match(second.error?.message ?? "", /; it is not tried again for 1 s$/)
  assert.equal(desk.machines.length, 1)
  await desk.clock.pass(501)
  assert.equal(desk.waker.state, "asleep")
  desk.startFails = undefined
  await desk.awake()
})

test("the back-off doubles up to a minute, and one good life ends it", async () => {
  const desk = new Desk()
  desk.startFails = "no"
  const waits: number[] = []
  for (let round = 0; round < 9; round++) {
    desk.call()
    await settle(20)
    const from = desk.clock.now()
    while (desk.waker.state === "failed") await desk.clock.pass(250)
    waits.push(desk.clock.now() - from)
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  desk.startFails = undefined
  await desk.awake()
  await desk.clock.pass(20_000)
  desk.machines.at(-1)?.end("it was ended by SIGKILL")
  assert.equal(desk.waker.state, "asleep", "an accident after a long life is no loop")
})

test("one early end is forgiven, the second one in a row backs off", async () => {
  const desk = new Desk()
  await desk.awake()
  desk.machines[0]?.end("it ended with code 1")
  assert.equal(desk.waker.state, "asleep")
  await desk.awake()
  desk.machines[1]?.end("it ended with code 1")
  assert.equal(desk.waker.state, "failed")
  const call = desk.call()
  await settle()
  assert.match(call.error?.message ?? "", /ended 2 times soon after its start: it ended with code 1; it is not tried/)
})

test("what ends during its start refuses all who wait, with its reason", async () => {
  const desk = new Desk()
  const calls = [desk.call(), desk.call()]
  await desk.clock.pass(500)
  desk.machines[0]?.end("it ended with code 3")
  await settle(20)
  for (const { error } of calls) assert.equal(error?.message, "127.0.0.1:9 could not be started: it ended with code 3")
})

test("a process that runs already is used, and never stopped", async () => {
  const desk = new Desk()
  desk.answers = true
  const call = desk.call()
  await settle(20)
  assert.equal(call.outcome, "ready")
  await desk.clock.pass(70_000)
  assert.equal(desk.waker.state, "asleep")
  assert.equal(desk.machines.length, 0)
  assert.equal(desk.target.totals.wakes, 0)
  await desk.waker.stop()
  assert.ok(desk.answers)
})

test("what commands control is stopped after the idle time, whoever started it", async () => {
  const desk = new Desk({ how: { kind: "commands", start: ["on"], stop: ["off"] } })
  desk.answers = true
  desk.call()
  await settle(20)
  assert.equal(desk.target.totals.wakes, 0)
  await desk.clock.pass(70_000)
  assert.equal(desk.machines[0]?.stops, 1)
})

test("a refused dial makes an unwatched machine count as asleep, and changes nothing for a process of ours", async () => {
  const elsewhere = new Desk({ how: { kind: "hooks", start: "http://hook.test/", stop: undefined } })
  await elsewhere.awake()
  elsewhere.answers = false
  elsewhere.waker.refused()
  assert.equal(elsewhere.waker.state, "asleep")
  assert.equal(elsewhere.machines[0]?.releases, 1)
  await elsewhere.awake()
  assert.equal(elsewhere.machines.length, 2)

  const ours = new Desk()
  await ours.awake()
  ours.waker.refused()
  assert.equal(ours.waker.state, "ready")
})

test("a stop during the start refuses who waits, ends the machine, and nothing starts afterwards", async () => {
  const desk = new Desk()
  const call = desk.call()
  await desk.clock.pass(300)
  await Promise.all([desk.waker.stop(), desk.waker.stop()])
  assert.equal(call.outcome, "closed")
  assert.equal(desk.machines[0]?.stops, 1)
  const late = desk.call()
  await settle()
  assert.equal(late.outcome, "closed")
  await desk.clock.pass(2_000)
  assert.equal(desk.clock.pending, 0)
})

test("new settings hold at once for the idle time, and for the command from the next start on", async () => {
  const desk = new Desk()
  await desk.awake()
  desk.waker.busy()
  desk.waker.idle()
  desk.waker.update({ ...processSettings, idleMs: 100 })
  await desk.clock.pass(101)
  assert.equal(desk.waker.state, "asleep")
})

test("whatever happens in whatever order: one machine at a time, every caller is answered, and nothing is left", async () => {
  const step = fc.constantFrom("call", "leave", "busy", "idle", "end", "refused", "fail", "heal", "short", "long")
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, isProcess) => {
      const desk = new Desk(isProcess ? {} : { how: { kind: "commands", start: ["on"], stop: ["off"] } })
      desk.stopTakesMs = 400
      const calls: { outcome: string }[] = []
      let users = 0
      let leaving = new AbortController()
      for (const each of steps) {
        if (each === "call") calls.push(desk.call(leaving.signal))
        else if (each === "leave") {
          leaving.abort(new RdvError("cancelled"))
          leaving = new AbortController()
        } else if (each === "busy") {
          users++
          desk.waker.busy()
        } else if (each === "idle" && users > 0) {
          users--
          desk.waker.idle()
        } else if (each === "end" && isProcess && desk.answers && desk.waker.state === "ready")
          desk.machines.at(-1)?.end("it ended")
        else if (each === "refused" && !isProcess) {
          desk.answers = false
          desk.waker.refused()
        } else if (each === "fail") desk.startFails = "no"
        else if (each === "heal") desk.startFails = undefined
        else if (each === "short") await desk.clock.pass(200)
        else if (each === "long") await desk.clock.pass(70_000)
        await settle(1)
        assert.ok(desk.machines.filter(({ isOver }) => !isOver).length <= 1)
      }
      let isStopped = false
      const stopped = desk.waker.stop().then(() => (isStopped = true))
      await desk.clock.pass(10_000)
      assert.ok(isStopped)
      await stopped
      assert.ok(calls.every(({ outcome }) => outcome !== "waits"))
      assert.ok(["asleep", "failed"].includes(desk.waker.state))
      assert.equal(desk.clock.pending, 0)
    }),
    { numRuns: 60 },
  )
})
