import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { Bucket } from "../../../base/bucket.ts"
import { RdvError } from "../../../base/error.ts"
import type { ChunkName, ChunkPath, ChunkPathSink } from "../paths/chunk-path.ts"
import { ChunkCache } from "./chunk-cache.ts"
import type { CachedChunk } from "./chunk-cache.ts"
import { Egress } from "./egress.ts"
import { Lane } from "./lane.ts"
import type { LaneVersion } from "./lane.ts"

const chunkBytes = 64 * 1024

/** Keeps what it is given until the test lets it go. */
class HeldPath implements ChunkPath {
  readonly kind = "stream"
  readonly over = "memory"
  readonly peer = "test"
  readonly queuedBytes = 0
  readonly rttMs = undefined
  readonly sentBytes = 0
  readonly receivedBytes = 0
  readonly sent: number[] = []
  readonly held: (() => void)[] = []
  /** What `send` answers. */
  isReady = false
  isClosing = false
  sink: ChunkPathSink | undefined

  attach(sink: ChunkPathSink): void {
    this.sink = sink
  }

  isOver = false

  send(name: ChunkName, _sealed: Uint8Array, sent: () => void = () => undefined): boolean {
    if (this.isOver) {
      sent()
      return false
    }
    this.sent.push(name.chunk)
    this.held.push(sent)
    return this.isReady
  }

  ask(): void {
    // Nobody answers.
  }

  cancel(): void {
    // Nobody answers.
  }

  refuse(): void {
    // Nobody hears it.
  }

  close(): void {
    this.isClosing = true
  }

  abort(error: RdvError): void {
    this.isOver = true
    for (const sent of this.held.splice(0)) sent()
    this.sink?.closed(error)
  }

  let(): void {
    this.held.shift()?.()
  }
}

interface Rig {
  readonly clock: FakeClock
  readonly cache: ChunkCache
  readonly chunks: CachedChunk[]
  readonly unpushed: number[]
  readonly member: { readonly id: string; isSlow: boolean }
  lane(path: ChunkPath): Lane
}

function rigOf(count: number, perSecond?: number): Rig {
  const clock = new FakeClock()
  const cache = new ChunkCache({ bytes: 16 * chunkBytes, clock, slowMs: 5_000 })
  const unpushed: number[] = []
  const user = { keeps: true, isLacked: () => true, evicted: () => undefined }
  const chunks = Array.from({ length: count }, (_, index) => {
    assert.ok(cache.reserve(chunkBytes))
    const chunk = cache.add(new Uint8Array(32).fill(index), cache.take(chunkBytes))
    cache.use(chunk, user, index)
    cache.unwant(chunk)
    return chunk
  })
  const version: LaneVersion = {
    version: 1,
    cached: (chunk) => (chunks[chunk]?.isHere === true ? chunks[chunk] : undefined),
    isRight: () => true,
    unpushed: (_member, chunk) => void unpushed.push(chunk),
    begins: () => undefined,
    came: () => undefined,
    broke: () => undefined,
    refused: () => undefined,
  }
  const member = { id: "m", isSlow: false }
  const egress = new Egress(clock, perSecond === undefined ? [] : [new Bucket({ clock, perSecond })])
  return {
    clock,
    cache,
    chunks,
    unpushed,
    member,
    lane(path) {
      const sent = () => undefined
      const lane = new Lane({
        path,
        member,
        cache,
        clock,
        egress,
        slowMs: 5_000,
        version: () => version,
        sent,
        closed: sent,
      })
      lane.start()
      return lane
    },
  }
}

function pushAll(lane: Lane, chunks: readonly CachedChunk[]): void {
  for (const [index, chunk] of chunks.entries()) lane.push(index, chunk)
}

test("one chunk is under way at a time, and the others wait as numbers", () => {
  const { cache, chunks, lane } = rigOf(5)
  const path = new HeldPath()
  pushAll(lane(path), chunks)
  assert.deepEqual(path.sent, [0])
  assert.equal(cache.status().pinnedBytes, chunkBytes)
  path.let()
  assert.deepEqual(path.sent, [0, 1])
  assert.equal(cache.status().pinnedBytes, chunkBytes)
  for (let left = 0; left < 4; left++) path.let()
  assert.deepEqual(path.sent, [0, 1, 2, 3, 4])
  assert.equal(cache.status().pinnedBytes, 0)
})

test("a path that has nearly sent one takes the next, unless its member is slow", () => {
  const { chunks, lane, member } = rigOf(5)
  const path = new HeldPath()
  path.isReady = true
  const held = lane(path)
  pushAll(held, chunks.slice(0, 3))
  assert.deepEqual(path.sent, [0, 1])
  member.isSlow = true
  path.let()
  path.let()
  assert.deepEqual(path.sent, [0, 1, 2])
})

test("what was evicted while it waited goes back to whoever decides", () => {
  const { cache, chunks, lane, unpushed } = rigOf(3)
  const path = new HeldPath()
  pushAll(lane(path), chunks)
  while (cache.reserve(chunkBytes));
  path.let()
  assert.deepEqual(path.sent, [0])
  assert.deepEqual(unpushed, [1, 2])
})

test("a path that ends gives everything back, and one that replaces it goes on", () => {
  const { cache, chunks, lane } = rigOf(4)
  const first = new HeldPath()
  const old = lane(first)
  pushAll(old, chunks)
  const second = new HeldPath()
  const young = lane(second)
  young.inherit(old)
  assert.ok(first.isClosing)
  assert.deepEqual(second.sent, [1])
  first.let()
  assert.deepEqual(first.sent, [0])
  second.abort(new RdvError("link_lost"))
  assert.equal(cache.status().pinnedBytes, 0)
  assert.ok(chunks.every(({ wants }) => wants === 0))
})

test("whoever took long is slow until it is quick again", () => {
  const { clock, chunks, lane, member } = rigOf(3)
  const path = new HeldPath()
  pushAll(lane(path), chunks)
  clock.advance(6_000)
  path.let()
  assert.ok(member.isSlow)
  clock.advance(100)
  path.let()
  assert.ok(!member.isSlow)
})

test("members take turns at a rate that they share", async () => {
  const { clock, chunks, lane } = rigOf(8, chunkBytes * 2)
  const paths = [new HeldPath(), new HeldPath()]
  for (const path of paths) {
    path.send = (name, _sealed, sent) => {
      path.sent.push(name.chunk)
      sent?.()
      return true
    }
    pushAll(lane(path), chunks)
  }
  const count = () => paths.reduce((sum, { sent }) => sum + sent.length, 0)
  const before = count()
  assert.ok(before <= 3)
  await clock.pass(2_000)
  assert.ok(Math.abs(count() - before - 4) <= 1)
  await clock.pass(20_000)
  await settle()
  assert.deepEqual(paths[0]?.sent.length, 8)
  assert.deepEqual(paths[1]?.sent.length, 8)
})
