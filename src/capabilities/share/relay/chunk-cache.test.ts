import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import { ChunkCache } from "./chunk-cache.ts"
import type { CachedChunk, CacheUser, Pin } from "./chunk-cache.ts"
import { ChunkDisk } from "./chunk-disk.ts"

const kib = 1024

class User implements CacheUser {
  readonly keeps: boolean
  readonly evictions: number[] = []
  /** Nobody lacks them. */
  readonly spare: Set<number> = new Set()

  constructor(keeps: boolean = true) {
    this.keeps = keeps
  }

  isLacked(chunk: number): boolean {
    return !this.spare.has(chunk)
  }

  evicted(chunk: number): void {
    this.evictions.push(chunk)
  }
}

function cacheOf(bytes: number, clock: FakeClock = new FakeClock(), disk?: ChunkDisk): ChunkCache {
  return new ChunkCache({ bytes, clock, slowMs: 5_000, disk })
}

const hashOf = (number: number): Uint8Array => new Uint8Array(32).fill(number)

function put(cache: ChunkCache, user: User, number: number, length: number = 64 * kib): CachedChunk | undefined {
  if (!cache.reserve(length)) return undefined
  const memory = cache.take(length)
  memory.fill(number)
  const chunk = cache.add(hashOf(number), memory)
  cache.use(chunk, user, number)
  cache.unwant(chunk)
  return chunk
}

const uncut = (): never => assert.fail("nobody is in the way")

test("what was used longest ago goes first, and its users hear of it", () => {
  const cache = cacheOf(256 * kib)
  const user = new User()
  for (let number = 0; number < 4; number++) put(cache, user, number)
  const first = cache.find(hashOf(0)) as CachedChunk
  cache.unpin(cache.pin(first, false, uncut) as Pin)
  put(cache, user, 4)
  assert.deepEqual(user.evictions, [1])
  assert.ok(cache.find(hashOf(0)) !== undefined)
  assert.equal(cache.status().usedBytes, 256 * kib)
})

test("what nobody lacks in any version goes before what was used longest ago", () => {
  const cache = cacheOf(256 * kib)
  const user = new User()
  const other = new User()
  for (let number = 0; number < 4; number++) put(cache, user, number)
  cache.use(cache.find(hashOf(2)) as CachedChunk, other, 2)
  user.spare.add(2).add(3)
  put(cache, user, 4)
  assert.deepEqual(user.evictions, [3], "2 is lacked in another version")
  put(cache, user, 5)
  other.spare.add(2)
  put(cache, user, 6)
  assert.deepEqual(user.evictions, [3, 0, 2])
  assert.deepEqual(other.evictions, [2])
})

test("equal chunks of two versions are one, and stay while one of them is there", () => {
  const cache = cacheOf(256 * kib)
  const old = new User()
  const young = new User()
  const chunk = put(cache, old, 7) as CachedChunk
  assert.equal(put(cache, young, 7), chunk)
  assert.equal(cache.status().usedBytes, 64 * kib)
  cache.leave(chunk, old)
  assert.ok(chunk.isHere)
  cache.leave(chunk, young)
  assert.ok(!chunk.isHere)
  assert.equal(cache.status().usedBytes, 0)
})

test("expected chunks count before they come, and whoever waits for room is called in order", async () => {
  const cache = cacheOf(128 * kib)
  assert.ok(cache.reserve(64 * kib))
  assert.ok(cache.reserve(64 * kib))
  assert.ok(!cache.reserve(64 * kib))
  const called: number[] = []
  for (const number of [1, 2]) {
    cache.whenRoom(() => {
      if (!cache.reserve(64 * kib)) return false
      called.push(number)
      return true
    })
  }
  cache.release(64 * kib)
  await settle()
  assert.deepEqual(called, [1])
  cache.release(64 * kib)
  await settle()
  assert.deepEqual(called, [1, 2])
  cache.close()
})

test("what is in somebody's queue goes after what is not", () => {
  const cache = cacheOf(128 * kib)
  const user = new User()
  const wanted = put(cache, user, 1) as CachedChunk
  put(cache, user, 2)
  cache.want(wanted)
  put(cache, user, 3)
  assert.deepEqual(user.evictions, [2])
  put(cache, user, 4)
  put(cache, user, 5)
  assert.deepEqual(user.evictions, [2, 3, 4])
})

test("nothing is kept longer than it is wanted for a user that keeps nothing", () => {
  const cache = cacheOf(256 * kib)
  const user = new User(false)
  assert.ok(cache.reserve(64 * kib))
  const chunk = cache.add(hashOf(1), cache.take(64 * kib))
  cache.use(chunk, user, 1)
  cache.want(chunk)
  cache.unwant(chunk)
  const pin = cache.pin(chunk, false, uncut) as Pin
  cache.unwant(chunk)
  assert.ok(chunk.isHere)
  cache.unpin(pin)
  assert.deepEqual(user.evictions, [1])
  assert.equal(cache.status().usedBytes, 0)
})

test("a thousand members that take nothing hold the memory of nobody else", async () => {
  const clock = new FakeClock()
  const bytes = 4096 * kib
  const cache = cacheOf(bytes, clock)
  const user = new User()
  const pins: Pin[] = []
  let cuts = 0
  /** Each pins another chunk, as far as that goes. */
  const stall = (number: number) => {
    const chunk = put(cache, user, number)
    if (chunk === undefined) return
    const pin: Pin | undefined = cache.pin(chunk, false, () => {
      cuts++
      cache.unpin(pin as Pin)
    })
    if (pin !== undefined) pins.push(pin)
  }
  for (let number = 0; number < 200; number++) stall(number)
  assert.ok(cache.status().usedBytes <= bytes)
  assert.ok(cache.status().pinnedBytes <= bytes * 0.75)
  // Somebody fast comes.
  let isServed = false
  const fast = put(cache, user, 201) as CachedChunk
  assert.equal(cache.pin(fast, false, uncut), undefined)
  cache.whenPinnable(false, () => {
    const pin = cache.pin(fast, false, uncut)
    if (pin === undefined) return false
    isServed = true
    cache.unpin(pin)
    return true
  })
  await clock.pass(7_000)
  assert.ok(isServed)
  assert.ok(cuts > 0)
  assert.ok(cache.status().slowBytes <= bytes * 0.25)
  for (const pin of pins) cache.unpin(pin)
  assert.equal(cache.status().pinnedBytes, 0)
  cache.close()
})

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rdv-chunks-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function until(isIt: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !isIt(); turn++) await new Promise<void>((resolve) => void setTimeout(resolve, 4))
  assert.ok(isIt())
}

test("what memory has no room for goes to disk and comes back, and an earlier run's files are gone", async (t) => {
  const folder = folderOf(t)
  writeFileSync(join(folder, "old.chunk"), "left behind")
  writeFileSync(join(folder, "notes.txt"), "somebody's")
  const disk = new ChunkDisk({ folder, bytes: 1024 * kib, log: silentLog })
  assert.ok(!existsSync(join(folder, "old.chunk")))
  const cache = cacheOf(128 * kib, new FakeClock(), disk)
  const user = new User()
  const whole = randomBytes(64 * kib)
  assert.ok(cache.reserve(64 * kib))
  const memory = cache.take(64 * kib)
  memory.set(whole)
  const first = cache.add(hashOf(1), memory)
  cache.use(first, user, 1)
  cache.unwant(first)
  put(cache, user, 2)
  // No room: the first goes to disk meanwhile.
  assert.ok(!cache.reserve(64 * kib))
  await until(() => disk.status().chunks === 1)
  await settle()
  assert.equal(first.memory, undefined)
  assert.ok(first.isHere)
  assert.ok(cache.reserve(64 * kib))
  cache.release(64 * kib)
  const loaded = Promise.withResolvers<boolean>()
  cache.load(first, (bytes) => whole.equals(bytes), loaded.resolve)
  assert.equal(await loaded.promise, true)
  assert.deepEqual(user.evictions, [])
  cache.close()
  assert.deepEqual(readdirSync(folder), ["notes.txt"])
})

test("a file that was changed or removed is no chunk: its users hear that it is gone", async (t) => {
  const folder = folderOf(t)
  const disk = new ChunkDisk({ folder, bytes: 1024 * kib, log: silentLog })
  const cache = cacheOf(64 * kib, new FakeClock(), disk)
  const user = new User()
  const chunk = put(cache, user, 1) as CachedChunk
  assert.ok(!cache.reserve(64 * kib))
  await until(() => disk.status().chunks === 1)
  await settle()
  const [file] = readdirSync(folder)
  writeFileSync(join(folder, file as string), new Uint8Array(64 * kib))
  const loaded = Promise.withResolvers<boolean>()
  cache.load(chunk, (bytes) => bytes.every((byte) => byte === 1), loaded.resolve)
  assert.equal(await loaded.promise, false)
  assert.deepEqual(user.evictions, [1])
  assert.equal(cache.status().usedBytes, 0)
  cache.close()
})

test("the disk's bound holds, and what falls out of it is gone", async (t) => {
  const disk = new ChunkDisk({ folder: folderOf(t), bytes: 128 * kib, log: silentLog })
  const cache = cacheOf(64 * kib, new FakeClock(), disk)
  const user = new User()
  for (let number = 0; number < 5; number++) {
    let chunk: CachedChunk | undefined
    await until(() => (chunk ??= put(cache, user, number)) !== undefined)
  }
  assert.ok(disk.status().bytes <= 128 * kib)
  await until(() => user.evictions.length >= 2)
  assert.deepEqual(user.evictions.slice(0, 2), [0, 1])
  cache.close()
})

test("a folder that cannot be used is one clear line", (t) => {
  const file = join(folderOf(t), "file")
  writeFileSync(file, "")
  assert.throws(() => new ChunkDisk({ folder: file, bytes: 1, log: silentLog }), { code: "usage" })
})
