import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { ScriptedPath } from "../../../../test/kit/scripted-path.ts"
import { Bitmap } from "../content/bitmap.ts"
import { ChunkTable } from "../content/chunk-table.ts"
import { portableHash } from "../content/portable-crypto.ts"
import type { LocalVersion } from "./local-version.ts"
import { ChunkMemory } from "./chunk-memory.ts"
import { Uploads } from "./uploads.ts"
import type { UploadLane } from "./uploads.ts"

const length = 100_000

class Rig {
  readonly clock = new FakeClock()
  readonly uploads: Uploads
  readonly version: LocalVersion
  readonly memory: ChunkMemory = new ChunkMemory({ limitBytes: 32 << 20, spareBytes: 4 << 20 })
  readonly reads: number[] = []
  readonly lost: number[] = []
  /** Answers later, when it is released. */
  isSlow = false
  /** Fails. */
  spoiled = -1
  readonly #waiting: (() => void)[] = []

  constructor(bytesPerSecond?: number) {
    const hash = portableHash("sha256")
    const table = ChunkTable.build({
      version: 1,
      hash,
      manifestChunks: 1,
      chunks: Array.from({ length: 64 }, () => ({ length, hash: new Uint8Array(32) })),
    })
    const have = new Bitmap(64)
    for (let chunk = 0; chunk < 63; chunk++) have.add(chunk)
    this.version = {
      number: 1,
      table,
      accepts: () => false,
      holdings: {
        have,
        store: () => undefined,
        read: (chunk, into) => {
          this.reads.push(chunk)
          if (chunk === this.spoiled) throw new RdvError("corrupt", "It has changed")
          const sealed = (into ?? new Uint8Array(length)).fill(chunk)
          if (!this.isSlow) return sealed
          return new Promise((resolve) => this.#waiting.push(() => resolve(sealed)))
        },
      },
    }
    this.uploads = new Uploads({
      clock: this.clock,
      memory: this.memory,
      bytesPerSecond,
      lost: (_version, chunk) => this.lost.push(chunk),
    })
    this.uploads.version = this.version
  }

  lane(): { readonly path: ScriptedPath; readonly lane: UploadLane } {
    const path = new ScriptedPath()
    return { path, lane: this.uploads.lane(path) }
  }

  async release(count = Infinity): Promise<void> {
    for (const wake of this.#waiting.splice(0, count)) wake()
    await settle()
  }
}

const name = (chunk: number) => ({ version: 1, chunk })

test("who asks gets, and what is not here is refused", () => {
  const rig = new Rig()
  const { path, lane } = rig.lane()
  lane.asked(name(5))
  lane.asked(name(63))
  lane.asked(name(64))
  lane.asked({ version: 2, chunk: 5 })
  assert.deepEqual(
    path.sends.map(({ chunk }) => chunk),
    [5],
  )
  assert.deepEqual(path.refusals, [
    [63, "missing"],
    [64, "missing"],
    [5, "missing"],
  ])
  assert.equal(rig.uploads.heldBytes, 0)
})

test("several who ask at once share one read, and its memory lives until the last one has it", async () => {
  const rig = new Rig()
  rig.isSlow = true
  const lanes = [rig.lane(), rig.lane(), rig.lane()]
  for (const { lane } of lanes) lane.asked(name(7))
  assert.deepEqual(rig.reads, [7])
  const [first] = lanes
  if (first !== undefined) first.path.isQuick = false
  await rig.release()
  assert.ok(lanes.every(({ path }) => path.sends.length === 1))
  assert.equal(rig.uploads.heldBytes, length)
  first?.path.sends[0]?.sent()
  assert.equal(rig.uploads.heldBytes, 0)
})

test("only a few reads run at once, and what waits is bounded", async () => {
  const rig = new Rig()
  rig.isSlow = true
  const { path, lane } = rig.lane()
  for (let chunk = 0; chunk < 20; chunk++) lane.asked(name(chunk))
  assert.equal(rig.reads.length, 4)
  while (path.sends.length < 20) await rig.release()
  assert.deepEqual(
    path.sends.map(({ chunk }) => chunk),
    Array.from({ length: 20 }, (_, chunk) => chunk),
  )
})

test("a path that takes nothing does not keep the others waiting", () => {
  const rig = new Rig()
  const slow = rig.lane()
  slow.path.takesMore = false
  slow.path.isQuick = false
  const quick = rig.lane()
  for (let chunk = 0; chunk < 30; chunk++) slow.lane.asked(name(chunk))
  for (let chunk = 30; chunk < 60; chunk++) quick.lane.asked(name(chunk))
  assert.equal(slow.path.sends.length, 1)
  assert.equal(quick.path.sends.length, 30)
  slow.lane.ready()
  assert.equal(slow.path.sends.length, 2)
})

test("a limit holds over all paths", () => {
  const rig = new Rig(1_000_000)
  const lanes = [rig.lane(), rig.lane()]
  for (const { lane } of lanes) for (let chunk = 0; chunk < 40; chunk++) lane.asked(name(chunk))
  rig.clock.advance(3_000)
  const sent = lanes.reduce((sum, { path }) => sum + path.sentBytes, 0)
  assert.ok(sent >= 2_900_000 && sent <= 3_300_000, `${sent} bytes in 3 s`)
  const [one, another] = lanes.map(({ path }) => path.sends.length)
  assert.ok(Math.abs((one ?? 0) - (another ?? 0)) <= 1, "they take turns")
})

test("a limit of nothing refuses", () => {
  const rig = new Rig(0)
  const { path, lane } = rig.lane()
  lane.asked(name(1))
  assert.deepEqual(path.refusals, [[1, "busy"]])
})

test("what nobody waits for any more is not read", async () => {
  const rig = new Rig()
  rig.isSlow = true
  const { path, lane } = rig.lane()
  for (let chunk = 0; chunk < 6; chunk++) lane.asked(name(chunk))
  lane.cancelled(name(5))
  while (path.sends.length < 5) await rig.release()
  assert.ok(!rig.reads.includes(5))
})

test("a chunk that cannot be read is refused to all who wait, and told once", () => {
  const rig = new Rig()
  rig.spoiled = 9
  const { path, lane } = rig.lane()
  lane.asked(name(9))
  assert.deepEqual(path.refusals, [[9, "missing"]])
  assert.deepEqual(rig.lost, [9])
  assert.equal(rig.uploads.heldBytes, 0)
})

test("who leaves refuses what waits and what comes", async () => {
  const rig = new Rig()
  rig.isSlow = true
  const { path, lane } = rig.lane()
  for (let chunk = 0; chunk < 6; chunk++) lane.asked(name(chunk))
  rig.uploads.leave()
  await rig.release()
  lane.asked(name(10))
  assert.equal(path.sends.length, 0)
  assert.equal(path.refusals.length, 7)
  assert.ok(path.refusals.every(([, why]) => why === "leaving"))
  assert.equal(rig.uploads.isBusy, false)
})

test("a path that ends while its chunk is read costs nothing", async () => {
  const rig = new Rig()
  rig.isSlow = true
  const { path, lane } = rig.lane()
  lane.asked(name(1))
  lane.close()
  await rig.release()
  assert.equal(path.sends.length, 0)
  assert.equal(rig.uploads.heldBytes, 0)
})

test("an ask that was taken back and made again is answered once, behind those that stayed", () => {
  const rig = new Rig()
  const { path, lane } = rig.lane()
  path.takesMore = false
  path.isQuick = false
  for (const chunk of [1, 2, 3]) lane.asked(name(chunk))
  for (let again = 0; again < 5_000; again++) {
    lane.cancelled(name(2))
    lane.asked(name(2))
  }
  assert.equal(lane.length, 2)
  path.takesMore = true
  lane.ready()
  assert.deepEqual(
    path.sends.map(({ chunk }) => chunk),
    [1, 3, 2],
  )
})

test("a chunk that came or went a moment ago is not read", () => {
  const rig = new Rig()
  const { path, lane } = rig.lane()
  lane.asked(name(5))
  lane.asked(name(6))
  assert.deepEqual(rig.reads, [5, 6])
  path.isQuick = false
  lane.asked(name(6))
  // What comes in meanwhile gets no memory that is being sent.
  for (let chunk = 10; chunk < 60; chunk++) {
    const other = rig.memory.take(length) as Uint8Array
    rig.memory.give(other.fill(chunk), chunk)
  }
  assert.ok(path.sends[2]?.sealed.every((byte) => byte === 6))
  lane.asked(name(11))
  assert.deepEqual(rig.reads, [5, 6])
  assert.ok(path.sends[3]?.sealed.every((byte) => byte === 11))
})

test("all memory comes back, and chunks of the version before are not given for those of the next", async () => {
  const rig = new Rig()
  const { path, lane } = rig.lane()
  path.isQuick = false
  lane.asked(name(5))
  rig.isSlow = true
  lane.asked(name(6))
  rig.spoiled = 7
  lane.asked(name(7))
  rig.uploads.version = { ...rig.version, number: 2 }
  rig.memory.forget()
  await rig.release()
  for (const { sent } of path.sends) sent()
  assert.equal(rig.memory.taken, 0)
  rig.isSlow = false
  lane.asked({ version: 2, chunk: 5 })
  assert.deepEqual(rig.reads, [5, 6, 7, 5])
})
