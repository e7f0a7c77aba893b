/** A running `rdv balance` gets another file: by reload, by itself, by SIGHUP; good ones and bad ones; and ports that others have. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FaultTarget } from "../kit/fault-target.ts"
import { until } from "../kit/processes.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { TlsSecrets } from "../kit/tls-secrets.ts"
import { Visitor, visitMany, visitTarget } from "../kit/visitor.ts"

async function target(t: TestContext, name: string): Promise<FaultTarget> {
  const started = await FaultTarget.start({ behaviour: "echo", name })
  t.after(() => started.kill())
  return started
}

async function balance(t: TestContext, config: object): Promise<RunningBalancer> {
  const balancer = await RunningBalancer.start(config)
  t.after(() => balancer[Symbol.asyncDispose]())
  return balancer
}

const app = (port: number, targets: readonly FaultTarget[], more: object = {}) => ({
  name: "app",
  listen: [`127.0.0.1:${port}`],
  targets: targets.map(({ address }) => address),
  ...more,
})

test(
  "a hundred reloads under load drop nobody, and those that run stay where they are",
  { timeout: 120_000 },
  async (t) => {
    const targets = await Promise.all(["a", "b", "c"].map((name) => target(t, name)))
    const [port, other] = (await freePorts(2)) as [number, number]
    // Targets come and go, apps and ports too, and each setting once.
    const changes = [
      { more: {} },
      { more: { policy: "least-connections" } },
      { more: { limits: { "per-client": 1_000 } } },
      { more: { health: { check: "tcp", interval: "50ms" } } },
      { more: { bandwidth: { app: "1GB/s" } } },
      { more: { policy: "hash", timeouts: { idle: "1m" } } },
    ]
    const config = (turn: number) => {
      const without = targets.filter((_, at) => at !== turn % targets.length)
      const first = app(port, turn % 4 === 3 ? targets : without, changes[turn % changes.length]?.more)
      return { apps: turn % 2 === 0 ? [first] : [first, { ...app(other, targets), name: "other" }] }
    }
    const balancer = await balance(t, config(3))
    const staying = Array.from({ length: 12 }, () => new Visitor(port))
    t.after(() => staying.forEach((each) => each.socket.destroy()))
    const names = await Promise.all(staying.map((each) => each.greeting()))
    assert.deepEqual(new Set(names), new Set(["a", "b", "c"]))
    const load = { isOver: false, visits: 0, failures: [] as string[] }
    const workers = Array.from({ length: 8 }, async () => {
      while (!load.isOver) {
        await visitTarget(port).catch((error: Error) => load.failures.push(error.message))
        load.visits++
      }
    })
    const from = performance.now()
    for (let turn = 0; turn < 100; turn++) {
      balancer.replace(config(turn))
      await balancer.admin.reload()
      const visitsBefore = load.visits
      // Somebody has come in between.
      await until(() => load.visits > visitsBefore, "visits go on")
      await staying[turn % staying.length]?.echoes(`turn ${turn}`)
    }
    const tookMs = performance.now() - from
    load.isOver = true
    await Promise.all(workers)
    t.diagnostic(`100 reloads in ${tookMs.toFixed(0)} ms, ${load.visits} connections meanwhile`)
    assert.deepEqual(load.failures, [])
    for (const each of staying) await each.leave()
    await until(async () => (await balancer.app("app")).active === 0, "all have left")
    const { endings, total } = await balancer.app("app")
    assert.deepEqual([endings, total], [{ done: total }, load.visits + staying.length])
    assert.ok((await balancer.admin.snapshot()).reloads.good >= 100)
    assert.equal((await balancer.admin.snapshot()).reloads.bad, 0)
  },
)

test("a bad file changes nothing and is told with its place and the mend", async (t) => {
  const [a, b] = await Promise.all([target(t, "a"), target(t, "b")])
  const [port] = (await freePorts(1)) as [number]
  const balancer = await balance(t, { apps: [app(port, [a])] })
  const bad = {
    "not JSON": [`{"apps": [`, /config\.json:1:\d+/],
    "an unknown key": [
      `{"apps": [\n{"name": "x", "ports": [81], "targets": ["b:1"], "polcy": "random"}]}`,
      /config\.json:2:\d+: "polcy" .*: did you mean "policy"\?$/,
    ],
    "a port twice": [`{"apps": [{"name": "x", "ports": [81, 81], "targets": ["b:1"]}]}`, /81/],
    "nothing at all": ["", /config\.json/],
    "a file of networks that is not there": [
      JSON.stringify({ apps: [app(port, [b], { access: [{ "deny-file": "nowhere.txt" }] })] }),
      /nowhere\.txt/,
    ],
  } as const
  for (const [what, [text, told]] of Object.entries(bad)) {
    balancer.replace(text)
    await assert.rejects(balancer.admin.reload(), { code: "usage" }, what)
    assert.equal(await visitTarget(port), "a", what)
    assert.match(String((await balancer.admin.snapshot()).reloads.lastError), told)
  }
  const { reloads, apps } = await balancer.admin.snapshot()
  assert.equal(reloads.good, 0)
  assert.equal(apps.length, 1)
  assert.ok(reloads.bad >= Object.keys(bad).length)
  await balancer.logged("config.refused", reloads.bad)
  balancer.replace({ apps: [app(port, [b])] })
  await balancer.admin.reload()
  assert.equal(await visitTarget(port), "b")
  assert.equal((await balancer.admin.snapshot()).reloads.lastError, undefined)
})

test("a reload tells of certificates and lists that it took, and of lists that it did not take", async (t) => {
  const a = await target(t, "a")
  const [port] = (await freePorts(1)) as [number]
  const secrets = new TlsSecrets(t)
  const { cert, key } = secrets.server("shown", ["localhost"])
  const list = secrets.at("list.txt")
  writeFileSync(list, "192.0.2.1\n")
  const access = { otherwise: "allow", rules: [{ "deny-file": list }] }
  const balancer = await balance(t, { apps: [app(port, [a], { access, tls: { cert, key } })] })
  assert.deepEqual(await balancer.admin.reload(), { changed: [] })
  secrets.server("shown", ["localhost"])
  writeFileSync(list, "192.0.2.2\n")
  const { changed } = await balancer.admin.reload()
  assert.match(changed[0] ?? "", /^certificate .*shown.* renewed, valid until \d{4}-\d\d-\d\d$/)
  assert.deepEqual(changed.slice(1), [`list ${list} changed`])
  writeFileSync(list, "192.0.2.2\nlocalhost\n")
  const bad = `what a list said before holds: ${list}:2:1: "localhost" is not a network: `
  const refused = await balancer.admin.reload()
  assert.deepEqual([refused.changed[0], refused.changed[1]?.startsWith(bad)], [`list ${list} changed`, true])
  // Asked for by nobody else.
  assert.equal(balancer.log("config.reloaded").length, 3)
})

test("the file is read again when it is written over, replaced by another one, or SIGHUP comes", async (t) => {
  const [a, b] = await Promise.all([target(t, "a"), target(t, "b")])
  const [port] = (await freePorts(1)) as [number]
  const balancer = await balance(t, { apps: [app(port, [a])] })
  const serves = (name: string) => until(async () => (await visitTarget(port)) === name, `${name} serves`)
  balancer.overwrite({ apps: [app(port, [b])] })
  await serves("b")
  balancer.replace({ apps: [app(port, [a])] })
  await serves("a")
  balancer.replace({ apps: [app(port, [b])] })
  balancer.command.kill("SIGHUP")
  await serves("b")
  assert.equal((await balancer.admin.snapshot()).reloads.bad, 0)
})

test("what a reload leaves out drains as the file says: kept, given time, or cut", async (t) => {
  const [a, b] = await Promise.all([target(t, "a"), target(t, "b")])
  const ports = (await freePorts(3)) as [number, number, number]
  const removed = ["keep", "drain", "cut"]
  const config = (targets: readonly FaultTarget[]) => ({
    apps: ports.map((port, at) => app(port, targets, { name: removed[at], removed: removed[at], drain: "1s" })),
  })
  const balancer = await balance(t, config([a]))
  const visitors = ports.map((port) => new Visitor(port))
  t.after(() => visitors.forEach((each) => each.socket.destroy()))
  const [kept, drained, cut] = visitors as [Visitor, Visitor, Visitor]
  for (const visitor of visitors) assert.equal(await visitor.greeting(), "a")
  balancer.replace(config([b]))
  const from = performance.now()
  await balancer.admin.reload()
  for (const port of ports) assert.equal(await visitTarget(port), "b")
  assert.equal(await cut.end(), "RST")
  await drained.echoes("there is still time")
  assert.equal(await drained.end(), "RST")
  assert.ok(performance.now() - from >= 990)
  await kept.echoes("as long as I like")
  await kept.leave()
  assert.deepEqual((await balancer.app("cut")).endings, { done: 1, "target-removed": 1 })
})

test("a port that leaves the file is given up, and its connections go on to their end", async (t) => {
  const a = await target(t, "a")
  const [staying, leaving] = (await freePorts(2)) as [number, number]
  const listen = (...ports: readonly number[]) => ports.map((port) => `127.0.0.1:${port}`)
  const both = app(staying, [a], { listen: listen(staying, leaving) })
  const balancer = await balance(t, { apps: [both] })
  using before = new Visitor(leaving)
  await before.greeting()
  balancer.replace({ apps: [app(staying, [a])] })
  await balancer.admin.reload()
  using after = new Visitor(leaving)
  assert.equal(await after.end(), "refused")
  await before.echoes("still there")
  await before.leave()
  balancer.replace({ apps: [both] })
  await balancer.admin.reload()
  await until(() => visitTarget(leaving).catch(() => false), "the port is back")
})

test("a port that another process has is asked for until it is free, and the others do not notice", async (t) => {
  const a = await target(t, "a")
  const [free, stolen] = (await freePorts(2)) as [number, number]
  const thief = createServer((socket) => socket.end("mine\n"))
  t.after(() => thief.close())
  await once(thief.listen(stolen, "127.0.0.1"), "listening")
  const listen = [free, stolen].map((port) => `127.0.0.1:${port}`)
  const balancer = await balance(t, { apps: [app(free, [a], { listen })] })
  assert.deepEqual(await visitMany([free], 20), { a: 20 })
  const state = async () => (await balancer.app("app")).listeners.map((each) => each.state)
  assert.deepEqual(await state(), ["listening", "retrying"])
  const [line] = await balancer.logged("listener.failed")
  assert.equal(line?.["reason"], "another process has the port")
  thief.close()
  await once(thief, "close")
  await until(async () => (await state())[1] === "listening", "the port is ours")
  assert.deepEqual(await visitMany([stolen], 20), { a: 20 })
  assert.equal((await balancer.logged("listener.recovered")).length, 1)
})
