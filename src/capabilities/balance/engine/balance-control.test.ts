import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { appOf, balanceRig, settingsOf, targetOf } from "../../../../test/kit/balance-rig.ts"
import { temporaryFolder } from "../../../../test/kit/command.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { freePorts } from "../../../../test/kit/running-balancer.ts"
import { RdvError } from "../../../base/error.ts"
import { silentLog } from "../../../base/log.ts"
import type { Settings, TargetSettings } from "../config/settings.ts"
import { BalanceControl } from "./balance-control.ts"

const missing = { serverName: "x", ca: "/nowhere", verify: true, alpn: undefined, cert: undefined, key: undefined }

async function controlled(t: TestContext) {
  const [port = 0] = await freePorts(1)
  const folder = temporaryFolder()
  t.after(() => folder[Symbol.dispose]())
  const file = join(folder.path, "config.json")
  writeFileSync(file, "{}")
  const says = (...targets: (number | TargetSettings)[]): Settings => settingsOf([appOf(port, targets)])
  const state = { file: says(1, 2), follow: () => Promise.resolve() as Promise<void> }
  const { balancer } = await balanceRig(t, state.file)
  const control = new BalanceControl({
    balancer,
    clock: new FakeClock(),
    log: silentLog,
    file,
    read: () => state.file,
    settings: state.file,
    complete: (settings) => ({ ...settings, maxConnections: settings.maxConnections ?? 77 }),
    follow: () => state.follow(),
  })
  t.after(() => control.stop())
  const targets = () => balancer.settings.apps[0]?.targets.map(({ address, weight }) => [address, weight] as const)
  /** `port×weight`. */
  const effective = () =>
    targets()?.map(([address, weight]) => `${address.kind === "tcp" ? address.port : address.kind}×${weight}`)
  return { control, balancer, state, says, effective }
}

const at = (port: number) => `127.0.0.1:${port}`

test("what operators said of targets outlives reloads that say nothing new of these", async (t) => {
  const { control, state, says, effective } = await controlled(t)
  await control.target("app", at(1), { weight: 5 })
  await control.removeTarget("app", at(2))
  await control.addTarget("app", at(3))
  await control.target("app", at(3), { weight: 7 })
  assert.deepEqual(effective(), ["1×5", "3×7"])
  state.file = says(1, 2, 4)
  assert.deepEqual(await control.reload(), { changed: ["app app: target 127.0.0.1:4 added"] })
  assert.deepEqual(effective(), ["1×5", "4×1", "3×7"])
})

test("what the file says anew of a target counts, and the rest stays", async (t) => {
  const { control, state, says, effective } = await controlled(t)
  await control.target("app", at(1), { weight: 5 })
  await control.removeTarget("app", at(2))
  await control.addTarget("app", at(3))
  state.file = says(targetOf(1, { weight: 2 }), 2, targetOf(3, { weight: 4 }))
  await control.reload()
  assert.deepEqual(effective(), ["1×2", "3×4"])
})

test("a target that was added, weighted, removed and added again begins anew", async (t) => {
  const { control, effective } = await controlled(t)
  await control.addTarget("app", at(3))
  await control.target("app", at(3), { weight: 7 })
  await control.removeTarget("app", at(3))
  await control.addTarget("app", at(3))
  assert.deepEqual(effective(), ["1×1", "2×1", "3×1"])
  await control.removeTarget("app", at(1))
  await control.addTarget("app", at(1))
  assert.deepEqual(effective(), ["1×1", "2×1", "3×1"])
})

test("a reload that is refused takes nothing back of what operators said", async (t) => {
  const { control, state, says, effective } = await controlled(t)
  await control.target("app", at(1), { weight: 5 })
  state.file = says(targetOf(1, { weight: 2 }), targetOf(2, { tls: missing }))
  await assert.rejects(control.reload(), { code: "usage" })
  assert.deepEqual(effective(), ["1×5", "2×1"])
  // What is applied next stands on the same ground.
  await control.target("app", at(2), { weight: 3 })
  assert.deepEqual(effective(), ["1×5", "2×3"])
  state.file = says(targetOf(1, { weight: 2 }), 2)
  state.follow = () => Promise.reject(new RdvError("in_use", "the door is taken"))
  await assert.rejects(control.reload(), { code: "in_use" })
  assert.deepEqual(effective(), ["1×5", "2×3"])
  const { reloads } = await control.snapshot()
  assert.deepEqual([reloads.good, reloads.bad, reloads.lastError], [0, 2, "the door is taken"])
})

test("an operator's word in the middle of a reload is a word about the new configuration", async (t) => {
  const { control, state, says, effective } = await controlled(t)
  const opening = Promise.withResolvers<void>()
  state.follow = () => opening.promise
  state.file = says(1, 2, 4)
  const reloaded = control.reload()
  await new Promise((resolve) => setImmediate(resolve))
  await control.target("app", at(4), { weight: 9 })
  opening.resolve()
  await reloaded
  assert.deepEqual(effective(), ["1×1", "2×1", "4×9"])
})

test("a word said while a reload is being refused does not bring that file in", async (t) => {
  const { control, balancer, state, says, effective } = await controlled(t)
  const opening = Promise.withResolvers<void>()
  const update = balancer.update.bind(balancer)
  let isRefused = false
  // As event loops do it: not at once.
  t.mock.method(balancer, "update", async (settings: Settings) => {
    await opening.promise
    if (isRefused) update(settings)
    else {
      isRefused = true
      throw new RdvError("timeout", "an event loop does not answer")
    }
  })
  state.file = says(1, 2, 9)
  const refused = assert.rejects(control.reload(), { code: "timeout" })
  await new Promise((resolve) => setImmediate(resolve))
  const said = control.target("app", at(1), { weight: 5 })
  opening.resolve()
  await Promise.all([refused, said])
  assert.deepEqual(effective(), ["1×5", "2×1"])
})

test("a word that cannot be followed is as if it had not been said", async (t) => {
  const { control, balancer, effective } = await controlled(t)
  const refuse = t.mock.method(balancer, "update", () => {
    throw new RdvError("usage", "a certificate cannot be read")
  })
  await assert.rejects(control.target("app", at(1), { weight: 5, orders: "drain" }), { code: "usage" })
  await assert.rejects(control.removeTarget("app", at(2)), { code: "usage" })
  await assert.rejects(control.addTarget("app", at(3)), { code: "usage" })
  refuse.mock.restore()
  assert.equal(balancer.app("app").pool.targets[0]?.orders, "serve")
  await control.addTarget("app", at(4))
  assert.deepEqual(effective(), ["1×1", "2×1", "4×1"])
})

test("reloads come one after the other, and the last one's file counts", async (t) => {
  const { control, state, says, effective } = await controlled(t)
  const order: number[] = []
  state.follow = async () => {
    order.push(order.length)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const all = [3, 4, 5].map((port) => {
    state.file = says(port)
    return control.reload()
  })
  await Promise.all(all)
  assert.deepEqual(order, [0, 1, 2])
  assert.deepEqual(effective(), ["5×1"])
})

test("what the machine adds to the file is in force after reloads and words, and is no change of the file", async (t) => {
  const { control, balancer, state, says } = await controlled(t)
  const limit = () => balancer.settings.maxConnections
  assert.deepEqual(await control.reload(), { changed: [] })
  assert.equal(limit(), 77)
  await control.target("app", at(1), { weight: 5 })
  assert.equal(limit(), 77)
  state.file = says(1)
  state.follow = () => Promise.reject(new RdvError("in_use", "the door is taken"))
  await assert.rejects(control.reload())
  assert.equal(limit(), 77)
})

test("what is not there is told with what is", async (t) => {
  const { control } = await controlled(t)
  await assert.rejects(control.removeTarget("app", at(9)), { mend: "its targets are 127.0.0.1:1, 127.0.0.1:2" })
  await assert.rejects(control.removeTarget("web", at(1)), { mend: "apps are app" })
  await assert.rejects(control.addTarget("app", at(1)), /already/)
})
