/**
 * Shares while machines die, stand still, forget and lose their links: everybody who lives ends with the right bytes, or says
 * in one line what is missing. RDV_CHAOS_FULL=1 runs longer; RDV_CHAOS_SEED repeats one run.
 */

import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { SeededRandom } from "../../src/base/random.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { RunningCommand, temporaryFolder } from "../kit/command.ts"
import { digestOf, Mortals, none } from "../kit/share-mortals.ts"
import { eventually, ShareStage } from "../kit/share-stage.ts"
import type { Receiving } from "../kit/share-stage.ts"

const full = process.env["RDV_CHAOS_FULL"] === "1"
const seeds =
  process.env["RDV_CHAOS_SEED"] === undefined
    ? Array.from({ length: full ? 20 : 1 }, () => Math.floor(Math.random() * 2 ** 32))
    : [Number(process.env["RDV_CHAOS_SEED"])]

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
  t.after(() => {
    if (swarm.relayLog !== "") t.diagnostic(swarm.relayLog)
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
    () => (swarm.groups.some(({ haveBytes }) => haveBytes > 0) ? [] : swarm.laggards()),
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

describe("receivers go on", { concurrency: 4 }, () => {
  test(
    "the only holder is gone: what is missing is said, and the same code goes on",
    { timeout: 110_000 },
    async (t) => {
      using home = temporaryFolder()
      await using swarm = await Mortals.start({
        home: home.path,
        bytes: 3_000_000,
        relayFlags: ["--log-level", "error"],
        shareFlags: ["--chunk", "32KiB", "--limit", "700KB/s"],
      })
      const group = swarm.receivers(["a", "b"])
      const terminal = new RunningCommand(
        ["get", swarm.code, "--relay", swarm.relayAddress, "-o", `${join(home.path, "terminal")}/`, "--no-serve"],
        { data: home.path },
      )
      await using _ = terminal
      await none(t, "a part", () => (group.haveBytes > 400_000 ? [] : [`${group.haveBytes} bytes`]), 45_000)
      await swarm.killSender()
      const part = /the sender, or whoever has it: parts of big\.bin \(\d[^)]* MiB\) are with nobody who is here/
      await none(t, "all say what is missing", () => swarm.laggards().filter((line) => !part.test(line)), 45_000)
      await terminal.says(new RegExp(`waiting for ${part.source}`))
      await swarm.returnSender()
      await none(t, "everybody has everything", () => swarm.laggards(), 30_000)
      assert.deepEqual(swarm.wrong(), [])
      assert.deepEqual(group.failures, [])
      assert.equal((await terminal.ended).code, 0, terminal.stderr)
      assert.equal(digestOf(join(home.path, "terminal", "big.bin")), digestOf(swarm.file))
    },
  )

  test("a relay that forgot everything is gone on with when the sender is back", { timeout: 110_000 }, async (t) => {
    const stage = await ShareStage.start(t)
    const file = stage.file(2_000_000)
    const { share, code } = await stage.send(file, { instance: "sender", limitBytesPerSecond: 1_000_000 })
    const both = await Promise.all(["a", "b"].map((name) => stage.receive(name, code)))
    await eventually("a part", () => both.every((one) => one.get.figures().haveBytes > 200_000))
    await share.leave()
    await stage.restart()
    const saysSo = (one: Receiving) =>
      /^the relay, which is tried again: .*no share/.test(one.get.figures().waitsFor ?? "")
    await eventually(
      () => both.map(({ story }) => story).join("\n"),
      () => both.every(saysSo),
      45_000,
    )
    await stage.send(file, { instance: "sender", code })
    for (const one of both) await one.done(file)
  })

  test("links that are cut again and again lose nothing and send little twice", { timeout: 110_000 }, async (t) => {
    const stage = await ShareStage.start(t)
    const file = stage.file(5_000_000)
    const { code } = await stage.send(file, { direct: false, limitBytesPerSecond: 3_000_000 })
    const proxy = await chaosProxy({ target: { port: stage.port } })
    t.after(() => proxy.close())
    const relay = `127.0.0.1:${proxy.port}`
    const all = await Promise.all(["a", "b", "c"].map((name) => stage.receive(name, code, { relay, direct: false })))
    const isOver = () => all.every((one) => one.get.isDone || one.error !== undefined)
    for (let cuts = 0; cuts < (full ? 60 : 8) && !isOver(); cuts++) {
      await sleep(150)
      proxy.cutAll(cuts % 2 === 0 ? "rst" : "fin")
    }
    for (const one of all) await one.done(file, 30_000)
    for (const { get } of all) {
      const { duplicateBytes, bytes } = get.figures()
      assert.ok(duplicateBytes <= 0.02 * bytes, `${duplicateBytes} of ${bytes} came twice`)
    }
  })

  test("links that fall silent are noticed", { timeout: 120_000, skip: !full }, async (t) => {
    const stage = await ShareStage.start(t)
    const file = stage.file(5_000_000)
    const { code } = await stage.send(file, { direct: false, limitBytesPerSecond: 2_000_000 })
    const proxy = await chaosProxy({ target: { port: stage.port } })
    t.after(() => proxy.close())
    const one = await stage.receive("one", code, { relay: `127.0.0.1:${proxy.port}`, direct: false })
    await eventually(
      () => one.story,
      () => one.get.figures().haveBytes > 1_000_000,
    )
    // Only those that are there: new ones are good.
    proxy.blackHole(true)
    await one.done(file, 90_000)
  })

  test("who stands still, and who is slow, delays nobody", { timeout: 90_000 }, async (t) => {
    using home = temporaryFolder()
    await using swarm = await Mortals.start({
      home: home.path,
      bytes: 12_000_000,
      relayFlags: ["--log-level", "error", "--share-cache", "8MiB", "--share-carrier", "relay"],
      shareFlags: ["--chunk", "32KiB", "--limit", "6MB/s"],
    })
    const frozen = swarm.receivers(["frozen"])
    const proxy = await chaosProxy({
      target: { port: Number(swarm.relayAddress.split(":").at(-1)) },
      bytesPerSecond: 100_000,
    })
    t.after(() => proxy.close())
    const slow = swarm.receivers(["slow"], { direct: false, relay: `127.0.0.1:${proxy.port}` })
    await none(t, "a part", () => (frozen.haveBytes > 200_000 ? [] : [`${frozen.haveBytes} bytes`]), 20_000)
    frozen.signal("SIGSTOP")
    const began = performance.now()
    const quick = swarm.receivers(["a", "b", "c"])
    await none(t, "the others have everything", () => quick.laggards(), 30_000)
    t.diagnostic(`${Math.round(performance.now() - began)} ms, beside one that stood still`)
    frozen.signal("SIGCONT")
    proxy.bytesPerSecond = Infinity
    await none(t, "the slow ones have everything", () => swarm.laggards(), 40_000)
    assert.deepEqual(swarm.wrong(), [])
    assert.deepEqual([...frozen.failures, ...slow.failures], [])
  })

  test("hooks that hang or refuse harm no transfer", { timeout: 110_000 }, async (t) => {
    const hanging = createServer(() => undefined).listen(0, "127.0.0.1")
    t.after(() => {
      hanging.closeAllConnections()
      hanging.close()
    })
    await once(hanging, "listening")
    const hangs = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/`
    const stage = await ShareStage.start(t)
    const file = stage.file(1_000_000)
    const at = ["--relay", stage.address]
    const hooks = ["--on-client-done", hangs, "--on-all-done", "http://127.0.0.1:1/"]
    const sender = new RunningCommand(["share", file, ...at, "--json", ...hooks], { data: join(stage.home, "..") })
    t.after(async () => {
      sender.kill("SIGKILL")
      await sender.ended
    })
    const { code } = (await sender.event("share.published")) as { code?: string }
    const receiver = new RunningCommand(
      ["get", code ?? "", ...at, "-o", `${stage.home}/cli/`, "--no-serve", "--on-done", "http://127.0.0.1:1/"],
      { data: stage.home },
    )
    const { code: status, stderr } = await receiver.ended
    assert.equal(status, 0, stderr)
    assert.match(stderr, /rdv: warning: the hook for done, http:\/\/127\.0\.0\.1:1, failed/)
    assert.equal(digestOf(join(stage.home, "cli", "big.bin")), digestOf(file))
    // The sender goes on sharing while its hook hangs.
    await sender.event("share.client-done")
    await (await stage.receive("next", code ?? "")).done(file)
    await sender.event("share.client-done")
    await sender.says(/the hook for all-done, http:\/\/127\.0\.0\.1:1, failed/)
  })
})
