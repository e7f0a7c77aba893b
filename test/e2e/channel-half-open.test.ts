/**
 * Machines that vanish without a word: behind a cable of a network namespace that passes nothing any more. What they held, or
 * what was on its way to them, goes to another receiver within a time that is known.
 */

import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { resolve } from "node:path"
import { afterEach, test } from "node:test"
import { channels } from "../../src/channels.ts"
import type { Channels } from "../../src/channels.ts"
import { LineProcess } from "../kit/line-process.ts"
import { until } from "../kit/processes.ts"
import { RunningChannels } from "../kit/running-channels.ts"

const full = process.env["RDV_CHAOS_FULL"] === "1"
const holder = resolve(import.meta.dirname, "../kit/run-channel-holder.ts")
const here = "10.214.1.1"
const there = "10.214.1.2"

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "ignore"] })

/** A namespace behind a wire; `vanish` lets nothing pass any more, and nobody hears of it. */
function elsewhere(): { readonly namespace: string; vanish(): void } | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined
  const namespace = `rdvch${process.pid}`
  const wire = `rdvc${process.pid}`
  try {
    ip("netns", "add", namespace)
  } catch {
    return undefined
  }
  cleanUps.push(() => ip("netns", "del", namespace))
  // The system ends a namespace when it likes, and the wire with it.
  cleanUps.push(() => ip("link", "del", wire))
  ip("link", "add", wire, "type", "veth", "peer", "name", `${wire}p`, "netns", namespace)
  ip("addr", "add", `${here}/30`, "dev", wire)
  ip("link", "set", wire, "up")
  ip("-n", namespace, "addr", "add", `${there}/30`, "dev", `${wire}p`)
  ip("-n", namespace, "link", "set", `${wire}p`, "up")
  // Who is gone does not answer questions for its hardware address either; this one stays known, and packets just vanish.
  return { namespace, vanish: () => ip("-n", namespace, "addr", "del", `${there}/30`, "dev", `${wire}p`) }
}

interface Scene {
  readonly server: RunningChannels
  readonly native: Channels
  readonly holds: LineProcess
  vanish(): void
}

async function scene(kind: "native" | "9p"): Promise<Scene | undefined> {
  const place = elsewhere()
  if (place === undefined) return undefined
  const server = await RunningChannels.start({
    listen: ["0.0.0.0:0"],
    flags: ["--open", "--grace", "700ms", "--dead-after", "1s", "--channel", "/jobs"],
  })
  cleanUps.push(() => server[Symbol.asyncDispose]())
  const native = await channels({ relay: `127.0.0.1:${server.port}` })
  cleanUps.push(() => native.close({ graceMs: 0 }))
  const words = ["netns", "exec", place.namespace, process.execPath, holder, kind, here, String(server.port), "/jobs"]
  const holds = new LineProcess("ip", words)
  cleanUps.push(async () => {
    holds.signal("SIGKILL")
    await holds.ended
  })
  await holds.event("waiting")
  await until(async () => {
    const entry = await native.stat("/jobs")
    return entry.kind === "channel" && entry.counts.waitingReceivers === 1
  }, "it waits")
  return { server, native, holds, vanish: place.vanish }
}

/** How long until somebody else has the message, ms. */
async function takenOver({ native }: Scene, sending: Promise<void>, withinMs: number): Promise<number> {
  const from = performance.now()
  const message = await native.channel("/jobs").receive({ timeoutMs: withinMs })
  assert.deepEqual([message?.text(), message?.attempt], ["job", 2])
  await sending
  return performance.now() - from
}

for (const when of ["held", "on its way"] as const) {
  test(
    `a native client that vanishes: what is ${when} is another one's within seconds`,
    { timeout: 40_000 },
    async (t) => {
      const set = await scene("native")
      if (set === undefined) return t.skip("needs root and network namespaces")
      if (when === "on its way") set.vanish()
      const sending = set.native.channel("/jobs").send("job")
      if (when === "held") {
        await set.holds.event("holding")
        set.vanish()
      }
      const took = await takenOver(set, sending, 10_000)
      t.diagnostic(`after ${took.toFixed(0)} ms, with 1 s until a link is dead and 0.7 s of grace`)
      assert.ok(took < 5_000)
    },
  )

  test(
    `a 9P client that vanishes: what is ${when} is another one's within a minute`,
    { timeout: 120_000, skip: !full && "RDV_CHAOS_FULL=1 waits so long" },
    async (t) => {
      const set = await scene("9p")
      if (set === undefined) return t.skip("needs root and network namespaces")
      if (when === "on its way") set.vanish()
      const sending = set.native.channel("/jobs").send("job")
      if (when === "held") {
        await set.holds.event("holding")
        set.vanish()
      }
      const took = await takenOver(set, sending, 90_000)
      t.diagnostic(`after ${(took / 1000).toFixed(1)} s`)
      assert.ok(took < 75_000)
    },
  )
}
