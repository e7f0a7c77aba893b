/**
 * Shares while machines die, lie, stand still and fill up: everybody who lives ends with the right bytes, or says in one line
 * what is missing. RDV_CHAOS_FULL=1 runs longer; RDV_CHAOS_SEED repeats one run.
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { SeededRandom } from "../../src/base/random.ts"
import { temporaryFolder } from "../kit/command.ts"
import { Mortals } from "../kit/share-mortals.ts"

const full = process.env["RDV_CHAOS_FULL"] === "1"
const seeds =
  process.env["RDV_CHAOS_SEED"] === undefined
    ? Array.from({ length: full ? 20 : 1 }, () => Math.floor(Math.random() * 2 ** 32))
    : [Number(process.env["RDV_CHAOS_SEED"])]

/** Looks again and again until nothing is listed; fails with what still is. */
async function none(t: TestContext, what: string, list: () => readonly string[], withinMs: number): Promise<void> {
  const began = performance.now()
  for (;;) {
    const left = list()
    if (left.length === 0) return
    if (performance.now() - began > withinMs) {
      for (const line of left) t.diagnostic(line)
      assert.fail(`Not within ${withinMs} ms: ${what}; ${left.length} left, the first: ${left[0]}`)
    }
    await sleep(20)
  }
}

for (const seed of seeds) {
  test(`thirty receive while everybody is killed now and then; seed ${seed}`, { timeout: 120_000 }, (t) =>
    killings(t, seed),
  )
}

async function killings(t: TestContext, seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const below = (count: number) => Math.floor(random.fraction() * count)
  using home = temporaryFolder()
  const carrier = below(2) === 0 ? "relay" : "direct"
  await using swarm = await Mortals.start({
    home: home.path,
    bytes: 4_000_000,
    relayFlags: ["--share-carrier", carrier, "--log-level", "error"],
    shareFlags: ["--chunk", "32KiB", "--limit", "1500KB/s"],
  })
  const perProcess = 5
  for (let at = 0; at < 30; at += perProcess) {
    swarm.receivers(
      Array.from({ length: perProcess }, (_, index) => `r${at + index}`),
      { direct: below(4) > 0 },
    )
  }
  await none(
    t,
    "somebody begins",
    () => (swarm.groups.some(({ haveBytes }) => haveBytes > 0) ? [] : ["nobody"]),
    20_000,
  )
  for (let round = 0; round < (full ? 6 : 3); round++) {
    await sleep(below(500))
    switch (round === 0 ? 2 : below(3)) {
      case 0: {
        const group = swarm.groups[below(swarm.groups.length)]
        await group?.kill()
        swarm.kills++
        await sleep(below(300))
        group?.returns()
        break
      }
      case 1:
        await swarm.killSender()
        await sleep(below(500))
        await swarm.returnSender()
        break
      default:
        await swarm.killRelay()
        await sleep(below(800))
        await swarm.returnRelay()
    }
  }
  // A third of them at once, for good.
  await Promise.all([swarm.groups[0]?.kill(), swarm.groups[1]?.kill()])
  await none(t, "everybody who lives has everything", () => swarm.laggards(), 60_000)
  assert.deepEqual(swarm.wrong(), [])
  for (const { failures } of swarm.groups) for (const failure of failures) t.diagnostic(failure)
  t.diagnostic(`${carrier} carries; ${swarm.kills} kills`)
}
