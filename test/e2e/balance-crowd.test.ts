/**
 * Very many clients of `rdv balance`: at once, one after the other, more than there are descriptors, and those that say
 * nothing. RDV_CHAOS_FULL=1 takes the numbers of a real day: 10,000 connections, or what the limit of descriptors allows, and
 * 2,000 connects a second for a minute.
 */

import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FaultTarget } from "../kit/fault-target.ts"
import { until } from "../kit/processes.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { Visitor, visitMany, visitTarget } from "../kit/visitor.ts"

const full = process.env["RDV_CHAOS_FULL"] === "1"
const isLinux = process.platform === "linux"

async function balance(
  t: TestContext,
  targets: readonly string[],
  more: { readonly app?: object; readonly root?: object; readonly through?: readonly string[] } = {},
): Promise<{ readonly balancer: RunningBalancer; readonly port: number }> {
  const [port] = (await freePorts(1)) as [number]
  const app = { name: "app", listen: [`127.0.0.1:${port}`], targets, ...more.app }
  const config = { log: { connections: "none" }, ...more.root, apps: [app] }
  const balancer = await RunningBalancer.start(config, { through: more.through ?? [] })
  t.after(() => balancer[Symbol.asyncDispose]())
  return { balancer, port }
}

async function echo(t: TestContext, name?: string): Promise<FaultTarget> {
  const target = await FaultTarget.start({ behaviour: "echo", backlog: 4_096, ...(name !== undefined && { name }) })
  t.after(() => target.kill())
  return target
}

/** Of this process: the one with clients needs a descriptor for each, the balancer two. */
function descriptorLimit(): number {
  return Number(/^Max open files +\S+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1])
}

test(
  "very many connections at once all work, and leave nothing behind",
  { skip: !isLinux, timeout: 120_000 },
  async (t) => {
    const wanted = full ? 10_000 : 2_000
    const count = Math.min(wanted, Math.floor((descriptorLimit() - 200) / 2))
    const [a, b] = await Promise.all([echo(t, "a"), echo(t, "b")])
    const { balancer, port } = await balance(t, [a.address, b.address])
    await visitMany([port], 200)
    const before = { open: balancer.descriptors(), memory: await balancer.memory() }
    const from = performance.now()
    const visitors: Visitor[] = []
    t.after(() => visitors.forEach((each) => each.socket.destroy()))
    while (visitors.length < count) {
      const some = Array.from({ length: Math.min(250, count - visitors.length) }, () => new Visitor(port))
      visitors.push(...some)
      await Promise.all(some.map((each) => each.greeting()))
    }
    const connectedMs = performance.now() - from
    assert.equal((await balancer.admin.snapshot()).connections, count)
    const during = await balancer.memory()
    for (let at = 0; at < count; at += 500) {
      await Promise.all(visitors.slice(at, at + 500).map((each, turn) => each.echoes(`I am number ${at + turn}`)))
    }
    for (let at = 0; at < count; at += 500) await Promise.all(visitors.slice(at, at + 500).map((each) => each.leave()))
    await until(async () => (await balancer.admin.snapshot()).connections === 0, "all have left")
    const kibibytes = (during.resident - before.memory.resident) / 1_024 / count
    t.diagnostic(
      `${count} at once: connected within ${connectedMs.toFixed(0)} ms, ${kibibytes.toFixed(1)} KiB resident each`,
    )
    const { endings, total } = await balancer.app("app")
    assert.deepEqual(endings, { done: total })
    await until(() => balancer.descriptors().sockets <= before.open.sockets + 2, "all descriptors are closed")
    const after = await balancer.memory()
    assert.ok(after.used < before.memory.used + 2e6 + count * 200, `${after.used} after ${before.memory.used} bytes`)
  },
)

test(
  "clients that come and go leave neither descriptors nor memory",
  { skip: !isLinux, timeout: 180_000 },
  async (t) => {
    const [seconds, perSecond] = full ? [60, 2_000] : [3, 500]
    const targets = await Promise.all([echo(t, "a"), echo(t, "b")])
    const { balancer, port } = await balance(t, [...targets.map(({ address }) => address), "nobody.invalid:80"])
    // Code is compiled, and tables have their sizes.
    await visitMany([port], 2_000, 64)
    const before = { open: balancer.descriptors(), memory: await balancer.memory() }
    const cpuBefore = balancer.cpuSeconds()
    const from = performance.now()
    let visits = 0
    const kinds = { visit: 0, silent: 0, reset: 0 }
    const one = async (at: number) => {
      if (at % 10 === 1) {
        // Connects and goes, without a word.
        using silent = new Visitor(port)
        await silent.until(() => silent.connected, "a connection")
        kinds.silent++
      } else if (at % 10 === 2) {
        const rude = new Visitor(port)
        await rude.greeting()
        rude.socket.resetAndDestroy()
        kinds.reset++
      } else {
        await visitTarget(port)
        kinds.visit++
      }
    }
    const running = new Set<Promise<void>>()
    const failures: string[] = []
    while (performance.now() - from < seconds * 1_000) {
      const due = Math.floor(((performance.now() - from) / 1_000) * perSecond)
      for (; visits < due && running.size < 500; visits++) {
        const visit = one(visits).catch((error: Error) => void failures.push(error.message))
        running.add(visit)
        void visit.finally(() => running.delete(visit))
      }
      await sleep(5)
    }
    await Promise.all(running)
    const tookSeconds = (performance.now() - from) / 1_000
    const cpu = ((balancer.cpuSeconds() - cpuBefore) * 1e6) / visits
    t.diagnostic(
      `${visits} in ${tookSeconds.toFixed(1)} s (${(visits / tookSeconds).toFixed(0)}/s, ${JSON.stringify(kinds)}), ${cpu.toFixed(0)} µs of processor each`,
    )
    assert.deepEqual(failures, [])
    await until(async () => (await balancer.admin.snapshot()).connections === 0, "all have left")
    await until(() => balancer.descriptors().sockets <= before.open.sockets + 2, "all descriptors are closed")
    const after = await balancer.memory()
    const grownKiB = (after.used - before.memory.used) / 1_024
    t.diagnostic(`in use afterwards: ${grownKiB.toFixed(0)} KiB more`)
    assert.ok(grownKiB < 1_024, `${grownKiB} KiB`)
    const { targets: told, endings } = await balancer.app("app")
    assert.deepEqual(
      told.map(({ active, pending }) => active + pending),
      [0, 0, 0],
    )
    assert.equal(endings["failed"], undefined)
  },
)

const mayLimit = isLinux && spawnSync("prlimit", ["--version"]).status === 0

test(
  "beyond what the limit of descriptors allows clients are reset at once, and nothing else suffers",
  { skip: !mayLimit },
  async (t) => {
    const target = await echo(t, "a")
    const { balancer, port } = await balance(t, [target.address], { through: ["prlimit", "--nofile=256:256"] })
    const { maxConnections = 0 } = await balancer.admin.snapshot()
    assert.ok(maxConnections > 50 && maxConnections <= 96, String(maxConnections))
    const visitors = Array.from({ length: maxConnections }, () => new Visitor(port))
    t.after(() => visitors.forEach((each) => each.socket.destroy()))
    await Promise.all(visitors.map((each) => each.greeting()))
    for (let more = 0; more < 20; more++) {
      using late = new Visitor(port)
      assert.equal(await late.end(), "RST")
      assert.ok(late.endedMs < 1_000)
    }
    await Promise.all(visitors.map((each) => each.echoes("unharmed")))
    await Promise.all(visitors.slice(0, 10).map((each) => each.leave()))
    assert.deepEqual(await visitMany([port], 30, 8), { a: 30 })
    const { endings } = await balancer.app("app")
    assert.deepEqual(endings, { done: 40, "limit-total": 20 })
  },
)

test(
  "a balancer that is without descriptors blames no target, and goes on when there are some",
  { skip: !mayLimit },
  async (t) => {
    const targets = await Promise.all([echo(t, "a"), echo(t, "b")])
    const { balancer, port } = await balance(
      t,
      targets.map(({ address }) => address),
      { app: { health: { check: "tcp", interval: "100ms", fall: 1 } }, root: { log: { connections: "all" } } },
    )
    using before = new Visitor(port)
    await before.greeting()
    // Room for the client of a connection, and none for its target.
    balancer.limitDescriptors(1)
    // A health check may have the one place, and then the kernel's queue is emptied without a word.
    while (balancer.log("connection.ended").length === 0) {
      using turnedAway = new Visitor(port)
      assert.match(await turnedAway.end(), /^(RST|FIN)$/)
    }
    assert.match(String(balancer.log("connection.ended")[0]?.["detail"]), /too many open files here/)
    await before.echoes("unharmed")
    balancer.limitDescriptors(1_000)
    await until(() => visitTarget(port).catch(() => false), "it goes on")
    const served = await visitMany([port], 40)
    assert.deepEqual(served, { a: 20, b: 20 })
    const app = await balancer.app("app")
    assert.deepEqual(
      app.targets.map(({ healthy, totals }) => [healthy, totals.ejections, totals.connectFailures]),
      [
        [true, 0, 0],
        [true, 0, 0],
      ],
    )
    await before.leave()
  },
)

test("clients that say nothing are sent away after the time for a first byte, those that speak stay", async (t) => {
  const target = await FaultTarget.start({ behaviour: "echo" })
  t.after(() => target.kill())
  const { balancer, port } = await balance(t, [target.address], { app: { timeouts: { "first-byte": "400ms" } } })
  const silent = Array.from({ length: 50 }, () => new Visitor(port))
  t.after(() => silent.forEach((each) => each.socket.destroy()))
  using speaks = new Visitor(port)
  await speaks.echoes("a word")
  for (const each of silent) {
    assert.equal(await each.end(), "RST")
    assert.ok(each.endedMs >= 390 && each.endedMs < 5_000, `${each.endedMs} ms`)
  }
  await speaks.echoes("and another one, later")
  await speaks.leave()
  assert.deepEqual((await balancer.app("app")).endings, { "first-byte-timeout": 50, done: 1 })
})

test("by default a client may be silent: the server may be the one who speaks first", async (t) => {
  const target = await echo(t, "220 ready")
  const { port } = await balance(t, [target.address])
  using visitor = new Visitor(port)
  assert.equal(await visitor.greeting(), "220 ready")
})
