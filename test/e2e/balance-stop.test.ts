/** How `rdv balance` ends: for clients that run, that wait, that come too late, and for whoever presses Ctrl+C twice. */

import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FaultTarget } from "../kit/fault-target.ts"
import { until } from "../kit/processes.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { Visitor } from "../kit/visitor.ts"

async function balance(t: TestContext, root: object, app: object = {}) {
  const target = await FaultTarget.start({ behaviour: "echo", name: "a" })
  t.after(() => target.kill())
  const [port] = (await freePorts(1)) as [number]
  const config = { ...root, apps: [{ name: "app", listen: [`127.0.0.1:${port}`], targets: [target.address], ...app }] }
  const balancer = await RunningBalancer.start(config)
  t.after(() => balancer[Symbol.asyncDispose]())
  return { balancer, port, target }
}

async function isRefused(port: number): Promise<boolean> {
  using late = new Visitor(port)
  // Who still comes in stays as long as the stop lets it.
  await late.until(() => late.connected || late.ended !== "open", "an answer to the connect")
  return late.ended === "refused"
}

test("a stop takes nobody new, lets what runs finish, and is over with the last one", async (t) => {
  const { balancer, port } = await balance(t, { drain: "10s" })
  const visitors = Array.from({ length: 20 }, () => new Visitor(port))
  t.after(() => visitors.forEach((each) => each.socket.destroy()))
  await Promise.all(visitors.map((each) => each.greeting()))
  balancer.command.kill("SIGTERM")
  await balancer.command.says(/20 connections may take up to 10 s/)
  await until(() => isRefused(port), "the port is closed")
  for (const each of visitors) await each.echoes("there is time")
  const from = performance.now()
  for (const each of visitors) await each.leave()
  assert.equal((await balancer.command.ended).code, 0)
  assert.ok(performance.now() - from < 3_000)
})

test("a port that was closed for a stop stays closed, whatever becomes of the targets", async (t) => {
  const health = { check: "tcp", interval: "50ms", rise: 1, fall: 1 }
  const { balancer, port, target } = await balance(t, { drain: "10s" }, { health })
  using visitor = new Visitor(port)
  await visitor.greeting()
  balancer.command.kill("SIGTERM")
  await until(() => isRefused(port), "the port is closed")
  await target.kill()
  await until(async () => (await balancer.app("app")).targets[0]?.healthy === false, "the target is known to be down")
  assert.ok(await isRefused(port))
})

test("at the deadline of a stop what still runs is reset", async (t) => {
  const { balancer, port } = await balance(t, { drain: "700ms" })
  using visitor = new Visitor(port)
  await visitor.greeting()
  const from = performance.now()
  balancer.command.kill("SIGTERM")
  assert.equal(await visitor.end(), "RST")
  const tookMs = performance.now() - from
  assert.ok(tookMs >= 650 && tookMs < 4_000, `${tookMs} ms`)
  assert.equal((await balancer.command.ended).code, 0)
  assert.equal(balancer.log("connection.ended").at(-1)?.["ending"], "stopped")
})

test("the second Ctrl+C ends it at once", async (t) => {
  const { balancer, port } = await balance(t, { drain: "1m" })
  using visitor = new Visitor(port)
  await visitor.greeting()
  balancer.command.kill("SIGINT")
  await balancer.command.says(/Ctrl\+C again quits at once/)
  const from = performance.now()
  balancer.command.kill("SIGTERM")
  assert.equal((await balancer.command.ended).code, 130)
  assert.ok(performance.now() - from < 3_000)
  assert.match(await visitor.end(), /^(RST|FIN)$/)
})

test("nobody there: a stop is over at once, with its ports free", async (t) => {
  const { balancer, port } = await balance(t, { drain: "1m" })
  const from = performance.now()
  balancer.command.kill("SIGTERM")
  assert.equal((await balancer.command.ended).code, 0)
  assert.ok(performance.now() - from < 3_000)
  assert.ok(await isRefused(port))
})

test("who waits for a target when it stops waits no longer than the stop", async (t) => {
  const dead = (await freePorts(2)).map((port) => `127.0.0.1:${port}`)
  const app = { targets: dead, "when-down": "hold", timeouts: { dial: "1m" } }
  const { balancer, port } = await balance(t, { drain: "500ms" }, app)
  using visitor = new Visitor(port)
  await until(async () => (await balancer.app("app")).active === 1, "somebody waits")
  balancer.command.kill("SIGTERM")
  assert.equal(await visitor.end(5_000), "RST")
  assert.equal((await balancer.command.ended).code, 0)
})

test("a bad file at the start is one line with its place and the mend, and nothing listens", async () => {
  const [port] = (await freePorts(1)) as [number]
  const config = { apps: [{ name: "app", ports: [port], targets: ["a.test:1"], polcy: "random" }] }
  await assert.rejects(RunningBalancer.start(config), /rdv: config\.json:1:\d+: "polcy" .*did you mean "policy"\?/)
  assert.ok(await isRefused(port))
})
