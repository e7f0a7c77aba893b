/** Names of targets that change, fail, and come back under a running `rdv balance`. */

import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FaultTarget } from "../kit/fault-target.ts"
import { until } from "../kit/processes.ts"
import { RunningBalancer, freePorts } from "../kit/running-balancer.ts"
import { Visitor, visitMany, visitTarget } from "../kit/visitor.ts"

/** One port on several addresses of this machine, each with a target of its own. */
async function targetsOn(t: TestContext, ...hosts: readonly string[]): Promise<number> {
  const [port] = (await freePorts(1)) as [number]
  for (const host of hosts) {
    const target = await FaultTarget.start({ behaviour: "echo", name: host, host, port })
    t.after(() => target.kill())
  }
  return port
}

async function balance(t: TestContext, config: object, through: readonly string[] = []): Promise<RunningBalancer> {
  const balancer = await RunningBalancer.start(config, { through })
  t.after(() => balancer[Symbol.asyncDispose]())
  return balancer
}

test("all addresses of a name are used, and one that is dead costs nobody anything", async (t) => {
  const port = await targetsOn(t, "127.0.0.1", "127.0.0.2")
  const [listen] = (await freePorts(1)) as [number]
  const app = { name: "app", listen: [`127.0.0.1:${listen}`], targets: [`many.test:${port}`] }
  const balancer = await balance(t, { resolve: { "many.test": ["127.0.0.1", "127.0.0.2", "127.0.0.3"] }, apps: [app] })
  const served = await visitMany([listen], 100)
  assert.deepEqual(Object.keys(served).toSorted(), ["127.0.0.1", "127.0.0.2"])
  for (const count of Object.values(served)) assert.ok(count > 30, JSON.stringify(served))
  assert.deepEqual((await balancer.app("app")).endings, { done: 100 })
})

test("a reload leads a name elsewhere, and connections that run stay", async (t) => {
  const port = await targetsOn(t, "127.0.0.1", "127.0.0.2")
  const [listen] = (await freePorts(1)) as [number]
  const config = (address: string) => ({
    resolve: { "moving.test": [address] },
    apps: [{ name: "app", listen: [`127.0.0.1:${listen}`], targets: [`moving.test:${port}`] }],
  })
  const balancer = await balance(t, config("127.0.0.1"))
  using before = new Visitor(listen)
  assert.equal(await before.greeting(), "127.0.0.1")
  balancer.replace(config("127.0.0.2"))
  await balancer.admin.reload()
  assert.deepEqual(await visitMany([listen], 20), { "127.0.0.2": 20 })
  await before.echoes("still there")
  await before.leave()
})

const isRoot = process.platform === "linux" && process.getuid?.() === 0
const mayMount = isRoot && spawnSync("unshare", ["--mount", "true"]).status === 0

/** A resolver of our own for the balancer: a hosts file, and a name server that refuses every question. */
function ownNames(t: TestContext): { readonly through: readonly string[]; say(...lines: readonly string[]): void } {
  const folder = mkdtempSync(join(tmpdir(), "rdv-names-"))
  t.after(() => rmSync(folder, { recursive: true }))
  const [hosts, resolver] = [join(folder, "hosts"), join(folder, "resolv.conf")]
  const say = (...lines: readonly string[]) => writeFileSync(hosts, `127.0.0.1 localhost\n${lines.join("\n")}\n`)
  say()
  // Nobody listens there.
  writeFileSync(resolver, "nameserver 127.0.0.154\noptions timeout:1 attempts:1\n")
  const mount = `mount --bind ${hosts} /etc/hosts && mount --bind ${resolver} /etc/resolv.conf && exec "$@"`
  return { through: ["unshare", "--mount", "sh", "-c", mount, "sh"], say }
}

test(
  "a name that changes is followed, and its last good answer outlives the resolver",
  { skip: !mayMount },
  async (t) => {
    const port = await targetsOn(t, "127.0.0.1", "127.0.0.2")
    const [listen] = (await freePorts(1)) as [number]
    const names = ownNames(t)
    names.say("127.0.0.1 moving.test")
    const app = { name: "app", listen: [`127.0.0.1:${listen}`], targets: [`moving.test:${port}`] }
    const balancer = await balance(t, { "resolve-every": "200ms", apps: [app] }, names.through)
    assert.deepEqual(await visitMany([listen], 20), { "127.0.0.1": 20 })
    using before = new Visitor(listen)
    await before.greeting()

    names.say("127.0.0.2 moving.test")
    await until(async () => (await visitTarget(listen)) === "127.0.0.2", "the new address is known")
    assert.deepEqual(await visitMany([listen], 20), { "127.0.0.2": 20 })
    await before.echoes("still there")

    names.say("127.0.0.1 moving.test", "127.0.0.2 moving.test")
    await until(async () => (await visitTarget(listen)) === "127.0.0.1", "both addresses are known")
    const served = await visitMany([listen], 20)
    assert.deepEqual(served, { "127.0.0.1": 10, "127.0.0.2": 10 })

    names.say()
    // The name is asked for some times in vain.
    const from = performance.now()
    while (performance.now() - from < 1_000) assert.match(await visitTarget(listen), /^127\.0\.0\.[12]$/)
    assert.deepEqual(await visitMany([listen], 20), { "127.0.0.1": 10, "127.0.0.2": 10 })
    const { endings, total } = await balancer.app("app")
    assert.equal(endings["done"], total - 1)
  },
)

test("a name that resolves late is used from then on", { skip: !mayMount }, async (t) => {
  const port = await targetsOn(t, "127.0.0.2")
  const [listen] = (await freePorts(1)) as [number]
  const names = ownNames(t)
  const app = { name: "app", listen: [`127.0.0.1:${listen}`], targets: [`late.test:${port}`] }
  const balancer = await balance(t, { "resolve-every": "200ms", apps: [app] }, names.through)
  using early = new Visitor(listen)
  assert.equal(await early.end(), "RST")
  assert.match(String((await balancer.logged("connection.ended"))[0]?.["detail"]), /^late\.test:\d+: .*name/)
  names.say("127.0.0.2 late.test")
  await until(() => visitTarget(listen).catch(() => false), "the name is known")
  assert.deepEqual(await visitMany([listen], 20), { "127.0.0.2": 20 })
})
