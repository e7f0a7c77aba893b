import assert from "node:assert/strict"
import { test } from "node:test"
import { settle } from "../../../../test/kit/fake-clock.ts"
import { MemoryCast } from "../../../../test/kit/memory-cast.ts"
import { MemoryTarget } from "../../../../test/kit/share-content.ts"
import { ShareRig, someBytes } from "../../../../test/kit/share-rig.ts"

test("what is sent once to all arrives at all, and what they missed comes by the relay", async () => {
  // So slow that nobody has much before the pass begins.
  const rig = new ShareRig(40_000)
  const cast = new MemoryCast()
  cast.missed.add(5).add(6)
  cast.pause = () => new Promise((resolve) => void rig.clock.after(1, resolve))
  const bytes = someBytes(400_000)
  const content = await rig.content(bytes)
  const states: string[] = []
  rig.sender(content, { cast, events: { cast: (state) => states.push(state) } })
  await settle()
  const targets = Array.from({ length: 4 }, () => new MemoryTarget())
  const receivers = targets.map((target, at) => rig.receiver(`r${at}`, target, { cast }))
  await rig.until(() => states.includes("begun"), "a pass", 10_000)
  await rig.until(() => targets.every(({ finishes }) => finishes === 1), "everything")
  for (const target of targets) assert.deepEqual(target.result, bytes)
  assert.deepEqual(states, ["begun", "over"])
  for (const { traffic } of receivers) assert.ok(traffic.received.cast > 300_000, `${traffic.received.cast}`)
  assert.equal(cast.passes, 1)
  assert.equal(rig.relay.messages("cast", "r0").length, 2)
  await rig.close()
})

test("two listeners are not worth a pass, and no network is no failure", async () => {
  const rig = new ShareRig()
  const cast = new MemoryCast()
  const bytes = someBytes(50_000)
  rig.sender(await rig.content(bytes), { cast })
  await settle()
  const shut = new MemoryCast()
  shut.isShut = true
  const targets = [new MemoryTarget(), new MemoryTarget(), new MemoryTarget()]
  for (const [at, target] of targets.entries()) rig.receiver(`r${at}`, target, { cast: at === 2 ? shut : cast })
  await rig.until(() => targets.every(({ finishes }) => finishes === 1), "everything")
  await rig.clock.pass(5_000)
  assert.equal(cast.passes, 0)
  await rig.close()
})
