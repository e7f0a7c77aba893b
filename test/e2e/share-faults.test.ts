/**
 * Shares while machines die, lie, stand still and fill up: everybody who lives ends with the right bytes, or says in one line
 * what is missing. RDV_CHAOS_FULL=1 runs longer; RDV_CHAOS_SEED repeats one run.
 */

import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { systemClock } from "../../src/base/clock.ts"
import type { Clock } from "../../src/base/clock.ts"
import type { JsonObject } from "../../src/base/json.ts"
import { SeededRandom } from "../../src/base/random.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import { assertOneLine, runCommand, RunningCommand, temporaryFolder } from "../kit/command.ts"
import { digestOf, Mortals } from "../kit/share-mortals.ts"
import { flipped, lyingRelay, withClock } from "../kit/share-liars.ts"
import type { Lies } from "../kit/share-liars.ts"
import { eventually, ShareStage } from "../kit/share-stage.ts"
import type { Receiving } from "../kit/share-stage.ts"

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

test("the only holder is gone: what is missing is said, and the same code goes on", { timeout: 60_000 }, async (t) => {
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
  await none(t, "a part", () => (group.haveBytes > 400_000 ? [] : [`${group.haveBytes} bytes`]), 15_000)
  await swarm.killSender()
  const part = /the sender, or whoever has chunks? \d+[-0-9, and more]*: nobody who is here does/
  await none(t, "all say what is missing", () => swarm.laggards().filter((line) => !part.test(line)), 15_000)
  await terminal.says(new RegExp(`waiting for ${part.source}`))
  await swarm.returnSender()
  await none(t, "everybody has everything", () => swarm.laggards(), 30_000)
  assert.deepEqual(swarm.wrong(), [])
  assert.deepEqual(group.failures, [])
  assert.equal((await terminal.ended).code, 0, terminal.stderr)
  assert.equal(digestOf(join(home.path, "terminal", "big.bin")), digestOf(swarm.file))
})

test("a relay that forgot everything is gone on with when the sender is back", { timeout: 40_000 }, async (t) => {
  const stage = await ShareStage.start(t)
  const file = stage.file(2_000_000)
  const { share, code } = await stage.send(file, { instance: "sender", limitBytesPerSecond: 1_000_000 })
  const both = await Promise.all(["a", "b"].map((name) => stage.receive(name, code)))
  await eventually("a part", () => both.every((one) => one.get.figures().haveBytes > 200_000))
  await share.leave()
  await stage.restart()
  const saysSo = (one: Receiving) => /^the relay, which is tried again: .*no share/.test(one.get.figures().waitsFor ?? "")
  await eventually(() => both.map(({ story }) => story).join("\n"), () => both.every(saysSo), 15_000)
  await stage.send(file, { instance: "sender", code })
  for (const one of both) await one.done(file)
})

test("a relay that changes chunks is told, and what it spoils comes from others", { timeout: 60_000 }, async (t) => {
  const lies: Lies = {}
  const stage = await ShareStage.start(t, { wrap: (running) => lyingRelay(running, lies), carrier: "relay" })
  const file = stage.file(1_500_000)
  const { code } = await stage.send(file)
  lies.part = (head, sealed) => [head, flipped(sealed)]
  const one = await stage.receive("one", code)
  await one.done(file, 30_000)
  assert.ok(one.remarks.some((text) => /^part \d+ from the relay was false and thrown away$/.test(text)))
  const { via } = one.get.figures()
  assert.equal(via.relay, 0)
})

test("where there is nobody else, a relay that lies is one clear line, and no end at 99 %", { timeout: 60_000 }, async (t) => {
  const lies: Lies = {}
  const stage = await ShareStage.start(t, { wrap: (running) => lyingRelay(running, lies), carrier: "relay" })
  const file = stage.file(1_500_000)
  const { code } = await stage.send(file, { direct: false })
  // The last one is always false.
  const last = (head: Uint8Array) => new DataView(head.buffer, head.byteOffset).getUint32(4) === 46
  lies.part = (head, sealed) => [head, last(head) ? flipped(sealed) : sealed]
  const one = await stage.receive("one", code, { direct: false, timeoutMs: 4_500 })
  const { code: why, message, mend } = await one.failed(30_000)
  assert.equal(why, "timeout")
  assert.match(`${message}: ${mend ?? ""}`, /^Nothing came for \d s: it waits for a true copy of 1 chunk: \d+ came that were false$/)
  assert.deepEqual(one.get.figures().haveBytes, 1_500_000 - (1_500_000 % 32_768))
  lies.part = undefined
  const again = await stage.receive("one", code, { direct: false })
  await again.done(file)
})

const wrongTables: { readonly [what: string]: { readonly lies: Lies; readonly message: RegExp } } = {
  "another table": {
    lies: { table: flipped },
    message: /^The relay gave a table that nobody with this code has made: $/,
  },
  "a table that is longer than it was said": {
    lies: { table: (bytes) => new Uint8Array([...bytes, 0]) },
    message: /belong to no table/,
  },
  "a table without end": {
    lies: { message: tableOf((facts) => ({ ...facts, bytes: 2 ** 40 })) },
    message: /tried again: .*bytes/,
  },
  "another proof of the table": {
    lies: { message: tableOf((facts) => ({ ...facts, mac: "A".repeat(43) })) },
    message: /^The relay gave a table that nobody with this code has made: $/,
  },
  "words that are none": {
    lies: { message: (message) => (message["do"] === "welcome" ? { do: "dance" } : message) },
    message: /tried again: "do" of a message about a share/,
  },
}

test("whatever a relay says wrong about a share is told in one line", { timeout: 60_000 }, async (t) => {
  const one = async (what: string, { lies, message }: { readonly lies: Lies; readonly message: RegExp }) => {
    const told: Lies = {}
    const stage = await ShareStage.start(t, { wrap: (running) => lyingRelay(running, told) })
    const { code } = await stage.send(stage.file(200_000))
    Object.assign(told, lies)
    const receiver = await stage.receive(what, code, { timeoutMs: 5_000 })
    const { message: said, mend = "" } = await receiver.failed(30_000)
    assert.match(`${said}: ${mend}`, message)
    assert.doesNotMatch(said + mend, /\n/)
  }
  await Promise.all(Object.entries(wrongTables).map(([what, wrong]) => one(what, wrong)))
})

function tableOf(change: (facts: JsonObject) => JsonObject): (message: JsonObject) => JsonObject {
  return (message) =>
    message["do"] === "table" ? { ...message, table: change(message["table"] as JsonObject) } : message
}

test("a member that gives false chunks is dropped and told, and nothing of it is kept", { timeout: 60_000 }, async (t) => {
  const stage = await ShareStage.start(t, { carrier: "direct" })
  const file = stage.file(3_000_000)
  const { code } = await stage.send(file, { limitBytesPerSecond: 1_500_000 })
  const given = { parts: 0 }
  await stage.liar("liar", code, {
    part: (head, sealed) => {
      given.parts++
      return [head, flipped(sealed)]
    },
  })
  const both = await Promise.all(["a", "b"].map((name) => stage.receive(name, code)))
  for (const one of both) await one.done(file, 30_000)
  assert.ok(given.parts > 0, "nobody asked the liar")
  const told = both.flatMap(({ remarks }) => remarks)
  assert.ok(told.some((text) => /^part \d+ from member \S+ was false and thrown away$/.test(text)), told.join())
  // Who was caught is not asked again.
  for (const { remarks } of both) assert.ok(remarks.length <= 8, remarks.join("\n"))
})

test("a cache of less than a hundredth of the file is enough", { timeout: 60_000 }, async (t) => {
  const bytes = 24_000_000
  const cacheBytes = 200_000
  const stage = await ShareStage.start(t, { carrier: "relay", limits: { cacheBytes } })
  const file = stage.file(bytes)
  const { code } = await stage.send(file, { chunkBytes: 16 * 1024, direct: false })
  const all = await Promise.all(["a", "b", "c"].map((name) => stage.receive(name, code, { direct: false })))
  for (const one of all) await one.done(file, 40_000)
  const { inBytes, cache } = stage.shares.status() as { inBytes: number; cache: JsonObject }
  assert.ok(inBytes <= 1.5 * bytes, `${inBytes / bytes} copies came to the relay`)
  assert.ok((cache["bytes"] as number) <= cacheBytes, JSON.stringify(cache))
})

test("a disk that is full ends one receiver; others go on, and it does when there is room", { timeout: 60_000 }, async (t) => {
  const disk = smallDisk(t, 6)
  if (disk === undefined) return t.skip("no file system can be mounted here")
  const stage = await ShareStage.start(t)
  const file = stage.file(4_000_000)
  const { code, events } = await stage.send(file, { limitBytesPerSecond: 2_000_000 })
  const output = join(disk, "got")
  const [one, other] = [await stage.receive("one", code, { output }), await stage.receive("other", code)]
  await eventually(() => one.story, () => one.get.figures().haveBytes > 500_000)
  const ballast = join(disk, "ballast")
  fill(ballast)
  const { code: why, message, mend } = await one.failed(20_000)
  assert.equal(why, "limit")
  assert.match(`${message}: ${mend ?? ""}`, /disk is full.*free some space/)
  await eventually("the sender hears it", () =>
    events.some((event) => event.kind === "client-failed" && event.client === "one" && /disk is full/.test(event.reason)),
  )
  await other.done(file, 30_000)
  rmSync(ballast)
  const again = await stage.receive("one", code, { output })
  await again.done(file, 30_000)
  const { foundBytes } = again.get.figures()
  assert.ok(foundBytes >= 500_000, `${foundBytes} bytes were kept`)
  return undefined
})

test("clocks that are set forward and back harm no transfer, and a share lives as long as it was said", { timeout: 60_000 }, async (t) => {
  let offMs = 0
  const clock: Clock = { now: systemClock.now, after: systemClock.after, wall: () => systemClock.wall() + offMs }
  const stage = await ShareStage.start(t, { wrap: (running) => withClock(running, clock) })
  const file = stage.file(3_000_000)
  const { code, share } = await stage.send(file, { limitBytesPerSecond: 1_500_000, expiresMs: 6_000 })
  const published = performance.now()
  const one = await stage.receive("one", code, { serveMs: 60_000 })
  for (const years of [50, -50, 0.01, 30]) {
    offMs = years * 365 * 86_400_000
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  await one.done(file, 30_000)
  await assert.rejects(share.ended, { code: "removed", message: /expired/ })
  const livedMs = performance.now() - published
  assert.ok(livedMs > 5_000, `${livedMs} ms`)
  const late = await stage.receive("late", code)
  assert.equal((await late.failed()).code, "expired")
})

test("two shares of the same content at once are two, and one folder takes one of them", { timeout: 60_000 }, async (t) => {
  const stage = await ShareStage.start(t)
  const file = stage.file(2_000_000)
  const [first, second] = await Promise.all([
    stage.send(file, { limitBytesPerSecond: 1_500_000 }),
    stage.send(file, { limitBytesPerSecond: 1_500_000 }),
  ])
  assert.notEqual(first.code, second.code)
  const all = await Promise.all([
    stage.receive("a", first.code),
    stage.receive("b", second.code),
    stage.receive("c", first.code),
    stage.receive("d", second.code),
  ])
  await eventually("a part", () => (all[0]?.get.figures().haveBytes ?? 0) > 100_000)
  const thief = await stage.receive("thief", second.code, { output: join(stage.home, "a") })
  const error = await thief.failed()
  assert.equal(error.code, "in_use", error.message)
  for (const one of all) await one.done(file, 30_000)
})

test("guesses are slowed down, and nobody else is", { timeout: 60_000 }, async (t) => {
  const stage = await ShareStage.start(t, { limits: { guessBurst: 5, guessForgiveMs: 2_000 } })
  const file = stage.file(300_000)
  const { code } = await stage.send(file, { password: "right" })
  const keys = { access: new Uint8Array(32), identity: new Uint8Array(32), seal: new Uint8Array(32) }
  const guess = { ...keys, table: new Uint8Array(32), peer: new Uint8Array(32) }
  const codes: string[] = []
  for (let count = 0; count < 7; count++) {
    const one = await stage.receive(`guess-${count}`, code, { keys: guess })
    codes.push((await one.failed()).code)
  }
  assert.deepEqual(codes.slice(0, 5), Array.from({ length: 5 }, () => "unauthorized"))
  assert.equal(codes.at(-1), "rate_limited")
  const limited = await runCommand(["get", code, "--relay", stage.address, "-o", `${stage.home}/cli/`], {
    data: stage.home,
    env: { RDV_SHARE_PASSWORD: "right" },
  })
  assertOneLine(limited, 5, /too many wrong codes.*wait a minute/i)
  const waited = await stage.receive("waited", code, { password: "right", timeoutMs: 20_000 })
  assert.equal((await waited.failed()).code, "rate_limited")
})

test("links that are cut again and again lose nothing and send little twice", { timeout: 60_000 }, async (t) => {
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

test("who stands still, and who is slow, delays nobody", { timeout: 90_000 }, async (t) => {
  using home = temporaryFolder()
  await using swarm = await Mortals.start({
    home: home.path,
    bytes: 12_000_000,
    relayFlags: ["--log-level", "error", "--share-cache", "8MiB", "--share-carrier", "relay"],
    shareFlags: ["--chunk", "32KiB", "--limit", "6MB/s"],
  })
  const frozen = swarm.receivers(["frozen"])
  const proxy = await chaosProxy({ target: { port: Number(swarm.relayAddress.split(":").at(-1)) }, bytesPerSecond: 100_000 })
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

test("twenty gigabytes of nothing take no time and no room", { timeout: 60_000 }, async (t) => {
  const stage = await ShareStage.start(t)
  const file = stage.file(0)
  truncateSync(file, 20 * 2 ** 30)
  const handle = openSync(file, "r+")
  const middle = randomBytes(100_000)
  writeSync(handle, middle, 0, middle.length, 7 * 2 ** 30 + 5)
  closeSync(handle)
  const { code } = await stage.send(file, { chunkBytes: 1 << 20 })
  const one = await stage.receive("one", code)
  await eventually(() => one.story, () => one.get.isDone || one.error !== undefined, 30_000)
  assert.equal(one.error, undefined)
  const { size, blocks } = statSync(one.path)
  assert.equal(size, 20 * 2 ** 30)
  assert.ok(blocks * 512 < 8 * 2 ** 20, `${blocks * 512} bytes on the disk`)
  const got = openSync(one.path, "r")
  const read = Buffer.alloc(middle.length)
  readSync(got, read, 0, read.length, 7 * 2 ** 30 + 5)
  closeSync(got)
  assert.deepEqual(read, middle)
})

test("hooks that hang or refuse harm no transfer", { timeout: 60_000 }, async (t) => {
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

/** A file system of its own; undefined where none can be had. */
function smallDisk(t: TestContext, megabytes: number): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), "rdv-small-"))
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", disk], { stdio: "pipe" })
  } catch {
    rmdirSync(disk)
    return undefined
  }
  t.after(() => {
    execFileSync("umount", ["-l", disk])
    rmdirSync(disk)
  })
  return disk
}

/** Until nothing more fits. */
function fill(path: string): void {
  const file = openSync(path, "w")
  const bytes = Buffer.alloc(65_536, 1)
  try {
    for (;;) writeSync(file, bytes)
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC")
  } finally {
    closeSync(file)
  }
}
