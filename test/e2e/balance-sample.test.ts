/** The public file's shape: three apps, twelve ports, and a target whose name never resolves. */

import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FaultTarget } from "../kit/fault-target.ts"
import { RunningBalancer, isFree } from "../kit/running-balancer.ts"
import { visitMany, visitTarget } from "../kit/visitor.ts"

const words = ["five-thousand", "six-thousand", "seven-thousand"]
const bad = "bad.target.for.testing:6003"
const offsets = [1, 200, 300, 400]

interface App {
  readonly Name: string
  readonly Ports: readonly number[]
  readonly Targets: readonly string[]
}

/** Each app has two targets of its own, which greet with the app's name and theirs. */
async function sample(t: TestContext): Promise<readonly App[]> {
  const thousands = await freeThousands(words.length)
  return Promise.all(
    words.map(async (name, at) => {
      const targets = await Promise.all(
        ["first", "second"].map((which) => FaultTarget.start({ behaviour: "echo", name: `${name} ${which}` })),
      )
      t.after(() => Promise.all(targets.map((target) => target.kill())))
      const addresses = targets.map(({ port }) => `echo.test:${port}`)
      return {
        Name: name,
        Ports: offsets.map((offset) => (thousands[at] as number) * 1_000 + offset),
        Targets: name === "six-thousand" ? [...addresses, bad] : addresses,
      }
    }),
  )
}

/** So many N with N001, N200, N300 and N400 free, below what the system gives to clients. */
async function freeThousands(count: number): Promise<number[]> {
  const found: number[] = []
  const all = Array.from({ length: 27 }, (_, at) => at + 5)
  while (found.length < count && all.length > 0) {
    const [thousand] = all.splice(Math.floor(Math.random() * all.length), 1) as [number]
    const free = await Promise.all(offsets.map((offset) => isFree(thousand * 1_000 + offset)))
    if (free.every(Boolean)) found.push(thousand)
  }
  return found
}

test("every connection to each of the twelve ports works, whatever becomes of the bad target's name", async (t) => {
  const Apps = await sample(t)
  await using balancer = await RunningBalancer.start({ Apps }, { flags: ["--resolve", "echo.test=127.0.0.1"] })
  for (const { Name, Ports } of Apps) {
    const served = await visitMany(Ports, 200)
    t.diagnostic(`${Name} ${Ports.join(" ")}: ${JSON.stringify(served)}`)
    assert.deepEqual(Object.keys(served).toSorted(), [`${Name} first`, `${Name} second`])
    // What the bad target's turns would have been goes to both alike.
    for (const count of Object.values(served)) assert.ok(Math.abs(count - 100) <= 5, JSON.stringify(served))
    const app = await balancer.app(Name)
    assert.deepEqual([app.total, app.endings], [200, { done: 200 }])
  }
  const { targets } = await balancer.app("six-thousand")
  const dead = targets.find(({ name }) => name === bad)
  assert.equal(dead?.totals.connections, 0)
  assert.ok((dead?.totals.connectFailures ?? 0) >= 1)
})

test("the file is config.json by default, and -config, --config and -c name another", async (t) => {
  const [app] = (await sample(t)) as [App]
  const flags = ["--resolve", "echo.test=127.0.0.1"]
  for (const name of [[], ["-config", "config.json"], ["--config", "config.json"], ["-c", "config.json"]]) {
    await using balancer = await RunningBalancer.start({ Apps: [app] }, { flags: [...name, ...flags] })
    await visitTarget(app.Ports[0] as number)
    assert.equal((await balancer.admin.snapshot()).configFile, "config.json")
  }
})

const isRoot = process.platform === "linux" && process.getuid?.() === 0
const mayMount = isRoot && spawnSync("unshare", ["--mount", "true"]).status === 0

test("nobody waits for the bad target's name while the resolver says nothing", { skip: !mayMount }, async (t) => {
  // Takes questions and answers none.
  const resolver = createSocket("udp4")
  resolver.bind(53, "127.0.0.153")
  await once(resolver, "listening")
  t.after(() => resolver.close())
  const folder = mkdtempSync(join(tmpdir(), "rdv-resolver-"))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "resolv.conf")
  writeFileSync(file, "nameserver 127.0.0.153\noptions timeout:3 attempts:1\n")
  const Apps = await sample(t)
  const { Name, Ports } = Apps[1] as App
  const mounted = ["unshare", "--mount", "sh", "-c", `mount --bind ${file} /etc/resolv.conf && exec "$@"`, "sh"]
  await using balancer = await RunningBalancer.start(
    { Apps },
    { flags: ["--resolve", "echo.test=127.0.0.1"], through: mounted },
  )
  const from = performance.now()
  const served = await visitMany(Ports, 100)
  const tookMs = performance.now() - from
  t.diagnostic(`100 connections in ${tookMs.toFixed(0)} ms`)
  assert.deepEqual(Object.keys(served).toSorted(), [`${Name} first`, `${Name} second`])
  assert.ok(tookMs < 3_000, `${tookMs} ms`)
  assert.deepEqual((await balancer.app(Name)).endings, { done: 100 })
})
