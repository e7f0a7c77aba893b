/** What clients notice of targets that die, hang, reset and vanish behind `rdv balance`; all of them processes. */

import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { connect } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FaultTarget } from "../kit/fault-target.ts"
import { until } from "../kit/processes.ts"
import type { FaultTargetSettings } from "../kit/run-fault-target.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { Visitor, visitMany, visitTarget } from "../kit/visitor.ts"

async function target(t: TestContext, settings: Partial<FaultTargetSettings>): Promise<FaultTarget> {
  const started = await FaultTarget.start({ behaviour: "echo", ...settings })
  t.after(() => started.kill())
  return started
}

/** One app named `app` on one port. */
async function balance(
  t: TestContext,
  targets: readonly (string | FaultTarget)[],
  more: object = {},
): Promise<{ readonly balancer: RunningBalancer; readonly port: number; readonly config: object }> {
  const [port] = (await freePorts(1)) as [number]
  const addresses = targets.map((each) => (typeof each === "string" ? each : each.address))
  const app = { name: "app", listen: [`127.0.0.1:${port}`], targets: addresses, ...more }
  const config = { log: { connections: "all" }, apps: [app] }
  const balancer = await RunningBalancer.start(config)
  t.after(() => balancer[Symbol.asyncDispose]())
  return { balancer, port, config }
}

test("a target that dies ends its own connections, and no other one", async (t) => {
  const [a, b] = await Promise.all([target(t, { name: "a" }), target(t, { name: "b" })])
  const { balancer, port } = await balance(t, [a, b])
  const visitors = Array.from({ length: 10 }, () => new Visitor(port))
  t.after(() => visitors.forEach((each) => each.socket.destroy()))
  const names = await Promise.all(visitors.map((each) => each.greeting()))
  await Promise.all(visitors.map((each) => each.echoes("in the middle of something")))
  await b.kill()
  const killedAt = performance.now()
  for (const [at, visitor] of visitors.entries()) {
    if (names[at] === "a") continue
    assert.notEqual(await visitor.end(), "failed")
    assert.ok(performance.now() - killedAt < 1_000)
  }
  for (const [at, visitor] of visitors.entries()) if (names[at] === "a") await visitor.echoes("still here")
  assert.deepEqual(await visitMany([port], 20), { a: 20 })
  assert.equal((await balancer.app("app")).targets[1]?.obstacle, "ejected")
})

test("a target that dies before its first byte is known at once", async (t) => {
  const silent = await target(t, { behaviour: "silent" })
  const { balancer, port } = await balance(t, [silent])
  using waiting = new Visitor(port)
  using asking = new Visitor(port)
  asking.socket.write("question")
  await until(async () => (await balancer.app("app")).targets[0]?.active === 2, "both are joined")
  await silent.kill()
  for (const visitor of [waiting, asking]) assert.match(await visitor.end(2_000), /^(FIN|RST)$/)
  using late = new Visitor(port)
  assert.equal(await late.end(2_000), "RST")
})

/** Its kernel answers handshakes until the queue for them is full, and then drops each further SYN. */
async function fullTarget(t: TestContext): Promise<FaultTarget> {
  const full = await target(t, { backlog: 1 })
  full.freeze()
  const fillers = Array.from({ length: 8 }, () => connect({ host: "127.0.0.1", port: full.port }))
  for (const filler of fillers) filler.on("error", () => undefined)
  t.after(() => fillers.forEach((filler) => filler.destroy()))
  // The queue has room for two; the others hear nothing.
  await until(() => fillers.filter(({ connecting }) => !connecting).length >= 2, "the queue is full")
  return full
}

test("a target whose queue is full costs a client one connect time-out, and then nobody anything", async (t) => {
  const [full, good] = await Promise.all([fullTarget(t), target(t, { name: "good" })])
  const timeouts = { connect: "300ms" }
  const { balancer, port } = await balance(t, [full, good], {
    timeouts,
    outlier: { "connect-failures": 1, eject: "1m" },
  })
  const from = performance.now()
  assert.deepEqual(await visitMany([port], 2, 1), { good: 2 })
  const tookMs = performance.now() - from
  assert.ok(tookMs >= 290 && tookMs < 2_000, `${tookMs} ms`)
  const after = performance.now()
  assert.deepEqual(await visitMany([port], 50, 1), { good: 50 })
  assert.ok(performance.now() - after < 2_000)
  const [line] = (await balancer.logged("connection.ended", 52)).filter(({ attempts }) => attempts === 2)
  assert.match(String(line?.["failed"]), /no answer within \d+ ms$/)
})

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "ignore"] })

/** Packets to it go through a wire to where nobody takes them. Undefined without the right to make such a thing. */
function nowhere(t: TestContext): string | undefined {
  const wire = `rdvh${process.pid}`
  const net = `10.214.${process.pid % 256}`
  try {
    ip("link", "add", wire, "type", "veth", "peer", "name", `${wire}p`)
  } catch {
    return undefined
  }
  t.after(() => ip("link", "del", wire))
  ip("addr", "add", `${net}.1/30`, "dev", wire)
  ip("link", "set", wire, "up")
  ip("link", "set", `${wire}p`, "up")
  ip("neigh", "add", `${net}.2`, "lladdr", "02:00:00:00:00:02", "dev", wire, "nud", "permanent")
  return `${net}.2:80`
}

test("targets behind a network that drops everything are passed over, within the dial time", async (t) => {
  const hole = process.platform === "linux" && process.getuid?.() === 0 ? nowhere(t) : undefined
  if (hole === undefined) {
    t.skip("needs root and network devices")
    return
  }
  const good = await target(t, { name: "good" })
  const more = { timeouts: { connect: "300ms", dial: "1s" }, outlier: "off" }
  const { port } = await balance(t, [hole, good], more)
  const from = performance.now()
  assert.deepEqual(await visitMany([port], 20), { good: 20 })
  assert.ok(performance.now() - from < 4_000)
  const alone = await balance(t, [hole], more)
  using visitor = new Visitor(alone.port)
  assert.equal(await visitor.end(), "RST")
  assert.ok(visitor.endedMs >= 290 && visitor.endedMs < 3_000, `${visitor.endedMs} ms`)
})

test("a target that accepts and never answers is left after the time for an answer, when there is one", async (t) => {
  const silent = await target(t, { behaviour: "silent" })
  const { balancer, port } = await balance(t, [silent], { timeouts: { answer: "300ms" } })
  using visitor = new Visitor(port)
  visitor.socket.write("question")
  assert.equal(await visitor.end(), "RST")
  assert.ok(visitor.endedMs >= 290, `${visitor.endedMs} ms`)
  const [line] = await balancer.logged("connection.ended")
  assert.deepEqual([line?.["ending"], line?.["bytesUp"]], ["answer-timeout", 8])
})

test("a slow target is waited for, and its late answer is whole", async (t) => {
  const slow = await target(t, { behaviour: "slow", delayMs: 700 })
  const { balancer, port } = await balance(t, [slow], { timeouts: { "half-closed": "2s" } })
  using visitor = new Visitor(port)
  visitor.socket.end("question")
  assert.equal(await visitor.end(), "FIN")
  assert.equal(visitor.text, "question")
  assert.deepEqual((await balancer.app("app")).endings, { done: 1 })
})

test("a reset reaches the client as one, behind all that came before it", async (t) => {
  const [now, late] = await Promise.all([
    target(t, { behaviour: "reset" }),
    target(t, { behaviour: "answer-reset", bytes: 200_000 }),
  ])
  const first = await balance(t, [now])
  using refused = new Visitor(first.port)
  assert.equal(await refused.end(), "RST")
  const second = await balance(t, [late])
  using answered = new Visitor(second.port)
  answered.socket.write("question")
  assert.equal(await answered.end(), "RST")
  assert.equal(answered.received, 200_000)
})

test("a target that resets everybody is left out, when the file says so", async (t) => {
  const [ill, good] = await Promise.all([target(t, { behaviour: "reset" }), target(t, { name: "good" })])
  const { balancer, port } = await balance(t, [ill, good], { outlier: { "early-resets": 3, eject: "1m" } })
  let resets = 0
  const isOut = async () => (await balancer.app("app")).targets[0]?.obstacle === "ejected"
  while (!(await isOut())) await visitTarget(port).catch(() => resets++)
  // A client may hear of its reset before it is counted; a reset that comes with the connect is a failed dial, and retried.
  assert.ok(resets <= 4, `${resets} resets`)
  assert.deepEqual(await visitMany([port], 30), { good: 30 })
})

test("while all targets are down clients are reset at once", async (t) => {
  const [one, two] = (await freePorts(2)) as [number, number]
  const { port } = await balance(t, [`127.0.0.1:${one}`, `127.0.0.1:${two}`, "nobody.invalid:80"])
  // Before anything is known, and when the targets are ejected.
  for (let visits = 0; visits < 12; visits++) {
    using visitor = new Visitor(port)
    assert.equal(await visitor.end(), "RST")
    assert.ok(visitor.endedMs < 1_000, `${visitor.endedMs} ms`)
  }
  await using _back = await FaultTarget.start({ behaviour: "echo", name: "back", port: two })
  assert.equal(await visitTarget(port), "back")
})

test("with hold a client waits for a target, its bytes wait too, and nobody waits for ever", async (t) => {
  const [free] = (await freePorts(1)) as [number]
  const more = { "when-down": "hold", timeouts: { dial: "2s" } }
  const { balancer, port } = await balance(t, [`127.0.0.1:${free}`], more)
  const waiting = Array.from({ length: 20 }, () => new Visitor(port))
  t.after(() => waiting.forEach((each) => each.socket.destroy()))
  for (const each of waiting) each.socket.write("said early")
  await until(async () => (await balancer.app("app")).active === 20, "all wait")
  const back = await target(t, { port: free, name: "back" })
  for (const each of waiting) {
    assert.equal(await each.greeting(), "back")
    await each.until(() => each.text.endsWith("said early"), "what it said before there was a target")
    await each.leave()
  }
  await back.kill()
  using last = new Visitor(port)
  assert.equal(await last.end(), "RST")
  assert.ok(last.endedMs >= 1_900 && last.endedMs < 6_000, `${last.endedMs} ms`)
})

test("with refuse the port is closed while no target is up, and open again when one is", async (t) => {
  const [free] = (await freePorts(1)) as [number]
  const health = { check: "tcp", interval: "100ms", timeout: "1s", rise: 1, fall: 1 }
  const { balancer, port } = await balance(t, [`127.0.0.1:${free}`], { "when-down": "refuse", health })
  const state = async () => (await balancer.app("app")).listeners[0]?.state
  for (let round = 0; round < 2; round++) {
    await until(async () => (await state()) === "refusing", "the port is closed")
    using visitor = new Visitor(port)
    assert.equal(await visitor.end(), "refused")
    await using _back = await FaultTarget.start({ behaviour: "echo", name: "back", port: free })
    await until(async () => (await state()) === "listening", "the port is open")
    assert.deepEqual(await visitMany([port], 20), { back: 20 })
  }
})

test("a target that comes and goes costs nobody a connection that was not its own", async (t) => {
  const [free] = (await freePorts(1)) as [number]
  const steady = await target(t, { name: "steady" })
  const more = { outlier: { "connect-failures": 1, eject: "50ms", "max-eject": "100ms" } }
  const { balancer, port } = await balance(t, [steady, `127.0.0.1:${free}`], more)
  for (let round = 0; round < 6; round++) {
    assert.deepEqual(await visitMany([port], 20), { steady: 20 })
    await using _flapping = await FaultTarget.start({ behaviour: "echo", name: "flapping", port: free })
    await until(async () => (await visitTarget(port)) === "flapping", "the other one is found again")
    const served = await visitMany([port], 20)
    assert.equal((served["steady"] ?? 0) + (served["flapping"] ?? 0), 20)
  }
  const { endings, total } = await balancer.app("app")
  assert.deepEqual(endings, { done: total })
})

test("when all but one refuse, each client is led to that one, from the first on and many at once", async (t) => {
  const dead = (await freePorts(9)).map((port) => `127.0.0.1:${port}`)
  const good = await target(t, { name: "good" })
  const { balancer, port } = await balance(t, [...dead, good])
  assert.deepEqual(await visitMany([port], 300, 50), { good: 300 })
  assert.deepEqual((await balancer.app("app")).endings, { done: 300 })
})

test("an ejected target is tried before a client is sent away, and is back when it works", async (t) => {
  const [one, two] = (await freePorts(2)) as [number, number]
  const { balancer, port } = await balance(t, [`127.0.0.1:${one}`, `127.0.0.1:${two}`], {
    outlier: { eject: "1h", "max-eject": "1h" },
  })
  for (let visits = 0; visits < 10; visits++) await assert.rejects(visitTarget(port))
  const ejected = (await balancer.app("app")).targets.find(({ obstacle }) => obstacle === "ejected")
  await target(t, { name: "back", port: Number(ejected?.name.split(":")[1]) })
  assert.deepEqual(await visitMany([port], 50), { back: 50 })
  assert.equal((await balancer.app("app")).targets.find(({ name }) => name === ejected?.name)?.obstacle, undefined)
})
