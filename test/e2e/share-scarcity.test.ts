/** Shares where something is scarce or wrong: memory, disks, clocks. */

import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
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
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { systemClock } from "../../src/base/clock.ts"
import type { Clock } from "../../src/base/clock.ts"
import type { JsonObject } from "../../src/base/json.ts"
import { withClock } from "../kit/share-liars.ts"
import { eventually, ShareStage } from "../kit/share-stage.ts"

describe("scarce", { concurrency: 3 }, () => {
  test("a cache of less than a hundredth of the file is enough", { timeout: 110_000 }, async (t) => {
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

  test(
    "a disk that is full ends one receiver; others go on, and it does when there is room",
    { timeout: 110_000 },
    async (t) => {
      const disk = smallDisk(t, 6)
      if (disk === undefined) return t.skip("no file system can be mounted here")
      const stage = await ShareStage.start(t)
      const file = stage.file(4_000_000)
      const { code, events } = await stage.send(file, { limitBytesPerSecond: 2_000_000 })
      const output = join(disk, "got")
      const [one, other] = [await stage.receive("one", code, { output }), await stage.receive("other", code)]
      await eventually(
        () => one.story,
        () => one.get.figures().haveBytes > 500_000,
      )
      const ballast = join(disk, "ballast")
      fill(ballast)
      const { code: why, message, mend } = await one.failed(20_000)
      assert.equal(why, "limit")
      assert.match(`${message}: ${mend ?? ""}`, /disk is full.*free some space/)
      await eventually("the sender hears it", () =>
        events.some(
          (event) => event.kind === "client-failed" && event.client === "one" && /disk is full/.test(event.reason),
        ),
      )
      await other.done(file, 30_000)
      rmSync(ballast)
      const again = await stage.receive("one", code, { output })
      await again.done(file, 30_000)
      const { foundBytes } = again.get.figures()
      assert.ok(foundBytes >= 500_000, `${foundBytes} bytes were kept`)
      return undefined
    },
  )

  test(
    "clocks that are set forward and back harm no transfer, and a share lives as long as it was said",
    { timeout: 110_000 },
    async (t) => {
      let offMs = 0
      const clock: Clock = { now: systemClock.now, after: systemClock.after, wall: () => systemClock.wall() + offMs }
      const stage = await ShareStage.start(t, { wrap: (running) => withClock(running, clock) })
      const file = stage.file(3_000_000)
      const { code, share } = await stage.send(file, { limitBytesPerSecond: 1_500_000, expiresMs: 6_000 })
      const published = performance.now()
      const one = await stage.receive("one", code, { serveMs: 60_000 })
      for (const years of [50, -50, 0.01, 30]) {
        offMs = years * 365 * 86_400_000
        await sleep(300)
      }
      await one.done(file, 30_000)
      await share.ended
      const livedMs = performance.now() - published
      assert.ok(livedMs > 5_000, `${livedMs} ms`)
      const late = await stage.receive("late", code)
      assert.equal((await late.failed()).code, "expired")
    },
  )

  test("twenty gigabytes of nothing take no time and no room", { timeout: 110_000 }, async (t) => {
    const stage = await ShareStage.start(t)
    const file = stage.file(0)
    truncateSync(file, 20 * 2 ** 30)
    const handle = openSync(file, "r+")
    const middle = randomBytes(100_000)
    writeSync(handle, middle, 0, middle.length, 7 * 2 ** 30 + 5)
    closeSync(handle)
    const { code } = await stage.send(file, { chunkBytes: 1 << 20 })
    const one = await stage.receive("one", code)
    await eventually(
      () => one.story,
      () => one.get.isDone || one.error !== undefined,
      30_000,
    )
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
