import assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { appOf, balanceRig, echoTarget, settingsOf, targetOf, triedAgain } from "../../../../test/kit/balance-rig.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { until } from "../../../../test/kit/processes.ts"
import { freePorts, isFree } from "../../../../test/kit/running-balancer.ts"
import { Visitor } from "../../../../test/kit/visitor.ts"
import { systemClock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { defaultApp } from "../config/defaults.ts"
import type { HealthSettings, TargetSettings } from "../config/settings.ts"

const quickHealth: HealthSettings = {
  check: { kind: "tcp" },
  intervalMs: 20,
  downIntervalMs: 20,
  jitter: 0,
  timeoutMs: 500,
  rise: 1,
  fall: 1,
  port: undefined,
}

test("a stop closes the ports for good, whatever reloads and checks say meanwhile", async (t) => {
  const [port = 0, other = 0] = await freePorts(2)
  const target = await echoTarget(t)
  const settings = settingsOf([appOf(port, [target.port], { health: quickHealth })])
  const { balancer } = await balanceRig(t, settings)
  const visitor = new Visitor(port)
  t.after(() => visitor.socket.destroy())
  await visitor.greeting()
  const stopped = balancer.stop(300)
  assert.throws(() => balancer.update(settingsOf([appOf(other, [target.port])])), { code: "closed" })
  balancer.app("app").retarget()
  await target.stop()
  await stopped
  assert.deepEqual([await isFree(port), await isFree(other)], [true, true])
})

test("an agent's target that takes a check and breaks it at once ends nothing else", async (t) => {
  const broken = (sink: StreamSink) => {
    // Both come in one piece.
    sink.meta({ connected: true })
    sink.closed(new RdvError("connection_reset"))
  }
  const stream: Stream = {
    id: 1,
    service: "test",
    header: {},
    attach: (sink) => void setImmediate(broken, sink),
    write: () => true,
    meta: () => true,
    end: () => undefined,
    reset: () => undefined,
    consumed: () => undefined,
  }
  const [port = 0] = await freePorts(1)
  const away: TargetSettings = { ...targetOf(0), address: { kind: "rdv", name: "web" } }
  const settings = settingsOf([appOf(port, [away], { health: quickHealth })])
  const { balancer } = await balanceRig(t, settings, systemClock, () => stream)
  const [target] = balancer.app("app").pool.targets
  await until(() => (target?.totals.checks ?? 0) > 2, "it is checked again and again")
})

test("what a refused configuration had begun to make is ended", async (t) => {
  const [port = 0, other = 0] = await freePorts(2)
  const target = await echoTarget(t)
  const clock = new FakeClock()
  const { balancer } = await balanceRig(t, settingsOf([appOf(port, [target.port])]), clock)
  const timers = clock.pending
  const tls = { serverName: "x", ca: "/nowhere/ca.pem", verify: true, alpn: undefined, cert: undefined, key: undefined }
  const bad: TargetSettings = { ...targetOf(other), tls }
  const added = appOf(other, [target.port, bad], { name: "added", health: quickHealth })
  assert.throws(() => balancer.update(settingsOf([...balancer.settings.apps, added])), { code: "usage" })
  await until(() => clock.pending === timers, "no check is to come")
  clock.advance(60_000)
  // Whoever had dialled by then would be there before it.
  using visitor = new Visitor(port)
  await visitor.greeting()
  assert.equal(target.count(), 1)
})

test("a target that checks had found down is used when the file wants no checks any more", async (t) => {
  const [port = 0, dead = 0] = await freePorts(2)
  const app = appOf(port, [dead], { health: quickHealth })
  const { balancer } = await balanceRig(t, settingsOf([app]))
  const [target] = balancer.app("app").pool.targets
  await until(() => target?.healthy === false, "it is found down")
  balancer.update(settingsOf([{ ...app, health: undefined }]))
  assert.equal(target?.healthy, true)
  await echoTarget(t, dead)
  using visitor = new Visitor(port)
  assert.equal(await visitor.greeting(), "hi")
})

test("a target that is given a start and stop while clients are there is not stopped under them", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-balancer-"))
  t.after(() => rmSync(folder, { recursive: true }))
  const marker = join(folder, "stopped")
  const [port = 0, otherPort = 0] = await freePorts(2)
  const [target, otherTarget] = [await echoTarget(t), await echoTarget(t)]
  const app = appOf(port, [target.port])
  const other = appOf(otherPort, [otherTarget.port], { name: "other" })
  const { balancer } = await balanceRig(t, settingsOf([app, other]))
  const stays = new Visitor(port)
  t.after(() => stays.socket.destroy())
  await stays.greeting()
  const wake = (file: string) =>
    ({
      how: { kind: "commands", start: ["true"], stop: ["touch", file] },
      env: {},
      ready: { kind: "tcp" },
      idleMs: 30,
      timeoutMs: 5_000,
      stopMs: 100,
      queue: 10,
    }) as const
  const otherMarker = join(folder, "other-stopped")
  balancer.update(
    settingsOf([
      { ...app, targets: [targetOf(target.port, { wake: wake(marker) })] },
      { ...other, targets: [targetOf(otherTarget.port, { wake: wake(otherMarker) })] },
    ]),
  )
  for (const each of [port, otherPort]) {
    const passing = new Visitor(each)
    await passing.greeting()
    await passing.leave()
    await until(() => balancer.connections === 1, "only the first one is there")
  }
  // Where nobody is left, the idle time has passed by now.
  await until(() => existsSync(otherMarker), "the other one is stopped")
  assert.equal(existsSync(marker), false)
  await stays.echoes("still there")
  await stays.leave()
  await until(() => existsSync(marker), "it is stopped when nobody is there")
})

test("clients that wait because too many dials are under way are served when those are through", async (t) => {
  const [port = 0] = await freePorts(1)
  const target = await echoTarget(t)
  const breaker = { ...defaultApp.breaker, maxPending: 1 }
  const limits = { ...defaultApp.limits, queue: 10 }
  await balanceRig(t, settingsOf([appOf(port, [target.port], { breaker, limits })]))
  const visitors = Array.from({ length: 5 }, () => new Visitor(port))
  t.after(() => visitors.forEach(({ socket }) => socket.destroy()))
  for (const visitor of visitors) assert.equal(await visitor.greeting(), "hi")
})

test("those that are held count against the app's limit", async (t) => {
  const [port = 0] = await freePorts(1)
  const target = await echoTarget(t)
  const limits = { ...defaultApp.limits, connections: 2 }
  const app = (disabled: boolean) =>
    settingsOf([appOf(port, [targetOf(target.port, { disabled })], { limits, whenDown: "hold" })])
  const { balancer } = await balanceRig(t, app(true))
  const visitors = Array.from({ length: 5 }, () => new Visitor(port))
  t.after(() => visitors.forEach(({ socket }) => socket.destroy()))
  await until(() => visitors.filter(({ ended }) => ended === "RST").length === 3, "three are refused")
  assert.equal(balancer.app("app").places.taken, 2)
  balancer.update(app(false))
  await until(() => visitors.filter(({ text }) => text === "hi\n").length === 2, "two are served")
  assert.equal(target.count(), 2)
})

test("clients that leave while they are held or queued are noticed, and leave nothing behind", async (t) => {
  const [port = 0, dead = 0] = await freePorts(2)
  const limits = { ...defaultApp.limits, connections: 1, queue: 10 }
  const { balancer, records } = await balanceRig(t, settingsOf([appOf(port, [dead], { limits, whenDown: "hold" })]))
  const visitors = Array.from({ length: 3 }, () => new Visitor(port))
  for (const visitor of visitors) visitor.socket.write("request")
  await until(() => balancer.app("app").queue.length === 2 && balancer.app("app").places.taken === 1, "they wait")
  for (const { socket } of visitors) socket.resetAndDestroy()
  await until(() => balancer.connections === 0, "they are gone", 4_000)
  assert.deepEqual(
    records.map(({ ending }) => ending),
    ["client-gone", "client-gone", "client-gone"],
  )
  const app = balancer.app("app")
  assert.deepEqual([app.places.taken, app.queue.length, app.clients.connections("127.0.0.1")], [0, 0, 0])
})

test("what a client has sent and ended while it was held arrives, and its end too", async (t) => {
  const [port = 0, dead = 0] = await freePorts(2)
  const { balancer } = await balanceRig(t, settingsOf([appOf(port, [dead], { whenDown: "hold" })]))
  const whole = Buffer.alloc(300_000, "abcdefghij").toString()
  const [talks, silent] = [new Visitor(port), new Visitor(port)]
  talks.socket.end(whole)
  silent.socket.end()
  await until(() => balancer.connections === 2, "both are held")
  await triedAgain(balancer, 2)
  await echoTarget(t, dead)
  assert.equal(await talks.end(), "FIN")
  assert.equal(talks.received, whole.length + 3)
  assert.equal(await silent.end(), "FIN")
  assert.equal(silent.text, "hi\n")
  await until(() => balancer.connections === 0, "both are over")
})

test("a connection that was queued in vain tells for how long", async (t) => {
  const [port = 0] = await freePorts(1)
  const target = await echoTarget(t)
  const limits = { ...defaultApp.limits, connections: 1, queue: 10, queueMs: 50 }
  const { records } = await balanceRig(t, settingsOf([appOf(port, [target.port], { limits })]))
  const [first, second] = [new Visitor(port), new Visitor(port)]
  t.after(() => first.socket.destroy())
  await until(() => records.length === 1, "one is turned away")
  assert.equal(records[0]?.ending, "queue-timeout")
  assert.ok((records[0]?.queuedMs ?? 0) >= 45, `${records[0]?.queuedMs} ms`)
  second.socket.destroy()
})
