/**
 * What every path of chunks promises, whatever carries it. Each transport runs the same tests with pairs of its own.
 */

import assert from "node:assert/strict"
import { randomFillSync } from "node:crypto"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { RdvError } from "../../src/base/error.ts"
import { largestChunk, sealBytes } from "../../src/capabilities/share/content/chunk-crypto.ts"
import type { ChunkName, ChunkPath, Refusal } from "../../src/capabilities/share/paths/chunk-path.ts"

export interface PathPair {
  readonly near: ChunkPath
  readonly far: ChunkPath
  /** What near sends is not taken any more until `flow`; called after both have sinks. */
  stall(): void
  flow(): void
  /** Far gets these bytes as if near had sent them; absent where strangers' bytes are dropped instead. */
  garbage?(bytes: Uint8Array): void
}

export interface ChunkPathSuiteOptions {
  /** Chunks arrive in the order in which they were sent. */
  readonly ordered: boolean
  /** What the suite moves where it moves much, bytes. Default 24 MiB. */
  readonly bulkBytes?: number
}

/** `connect` gives a new pair; what it opens it closes with the test. */
export function chunkPathSuite(
  name: string,
  connect: (t: TestContext) => PathPair | Promise<PathPair>,
  { ordered, bulkBytes = 24 * 1_048_576 }: ChunkPathSuiteOptions,
): void {
  // Chunks of a million bytes: more than what systems buffer of a connection that nobody reads. Datagrams have no such buffers.
  const beyondBuffers = ordered ? 20 : 4
  const pathTest = (promise: string, run: (pair: PathPair) => Promise<void>): void =>
    void test(promise, { timeout: 30_000 }, async (t) => {
      const pair = await connect(t)
      t.after(() => {
        pair.flow()
        pair.near.abort(new RdvError("closed"))
        pair.far.abort(new RdvError("closed"))
      })
      await run(pair)
    })

  void describe(`chunk path over ${name}`, () => {
    pathTest("brings chunks of all sizes whole, under their names", async ({ near, far }) => {
      record(near)
      const atFar = record(far)
      const sizes = [1, 15, 1000, 65_536, 262_144, 262_160, 262_161, 524_320, largestChunk + sealBytes]
      const chunks = sizes.map((size, at) => ({
        version: (at * 9_001) % 65_536,
        chunk: at * 536_870_911,
        bytes: made(size, at),
      }))
      for (const { version, chunk, bytes } of chunks) {
        if (!near.send({ version, chunk }, bytes)) await atReady(near)
      }
      await atFar.until(() => atFar.chunks.length === sizes.length)
      const came = ordered ? atFar.chunks : [...atFar.chunks].sort((a, b) => a.name.chunk - b.name.chunk)
      for (const [at, { version, chunk, bytes }] of chunks.entries()) {
        assert.deepEqual(came[at]?.name, { version, chunk })
        assert.ok(same(came[at]?.sealed, bytes), `${bytes.length} bytes`)
      }
      const total = sizes.reduce((sum, size) => sum + size, 0)
      await atFar.until(() => near.sentBytes >= total)
      assert.ok(far.receivedBytes >= total)
    })

    pathTest("carries both directions at once, with asks among the chunks", async ({ near, far }) => {
      const size = 200_000
      const count = Math.ceil(bulkBytes / 2 / size)
      const sides = [near, far].map((path) => ({ path, record: record(path) }))
      await Promise.all(
        sides.map(async ({ path }) => {
          for (let chunk = 0; chunk < count; chunk++) {
            path.ask({ version: 2, chunk })
            if (!path.send({ version: 2, chunk }, made(size, chunk))) await atReady(path)
          }
        }),
      )
      for (const { record: at } of sides) {
        await at.until(() => at.chunks.length === count && at.asked.length === count)
        for (const {
          name: { chunk },
          sealed,
        } of at.chunks)
          assert.ok(same(sealed, made(size, chunk)), `chunk ${chunk}`)
      }
    })

    pathTest("refuses at once to send what is no chunk", async ({ near, far }) => {
      record(near)
      const atFar = record(far)
      const never = () => assert.fail("nothing was taken")
      assert.throws(() => near.send({ version: 1, chunk: 1 }, new Uint8Array(0), never), { code: "usage" })
      const tooLarge = new Uint8Array(largestChunk + sealBytes + 1)
      assert.throws(() => near.send({ version: 1, chunk: 1 }, tooLarge, never), { code: "too_large" })
      near.send({ version: 1, chunk: 2 }, made(10, 2))
      await atFar.until(() => atFar.chunks.length === 1)
    })

    pathTest("skips chunks that nobody has room for", async ({ near, far }) => {
      record(near)
      const atFar = record(far, { room: ({ chunk }, length) => (chunk % 2 === 0 ? new Uint8Array(length) : undefined) })
      for (let chunk = 0; chunk < 6; chunk++) {
        if (!near.send({ version: 1, chunk }, made(400_000, chunk))) await atReady(near)
      }
      await atFar.until(() => atFar.chunks.length === 3)
      assert.deepEqual(
        atFar.chunks.map(({ name: { chunk } }) => chunk).sort((a, b) => a - b),
        [0, 2, 4],
      )
    })

    pathTest("tells when it is full and when it is ready again, and loses nothing by it", async (pair) => {
      const { near, far } = pair
      const atNear = record(near)
      const atFar = record(far)
      pair.stall()
      const size = 300_000
      let sent = 0
      while (near.send({ version: 1, chunk: sent }, made(size, sent++))) assert.ok(sent < 1000, "it is never full")
      assert.ok(near.queuedBytes > 0)
      // The chunk for which it said no, and what it holds without one.
      assert.ok(near.queuedBytes < 16 * 1_048_576, `${near.queuedBytes} bytes wait`)
      const before = atNear.readies
      pair.flow()
      await atNear.until(() => atNear.readies > before)
      await atFar.until(() => atFar.chunks.length === sent)
      for (const {
        name: { chunk },
        sealed,
      } of atFar.chunks)
        assert.ok(same(sealed, made(size, chunk)), `chunk ${chunk}`)
    })

    pathTest("tells of each chunk once when its memory is free again", async (pair) => {
      const { near, far } = pair
      const atNear = record(near)
      const atFar = record(far)
      const count = 40
      const told = Array.from({ length: count }, () => 0)
      pair.stall()
      for (let chunk = 0; chunk < count; chunk++) {
        const bytes = made(150_000 + chunk, chunk)
        near.send({ version: 1, chunk }, bytes, () => {
          told[chunk] = (told[chunk] ?? 0) + 1
          // Whoever gets the memory next writes into it.
          bytes.fill(0xee)
        })
      }
      pair.flow()
      await atNear.until(() => told.every((times) => times === 1))
      await atFar.until(() => atFar.chunks.length === count)
      for (const {
        name: { chunk },
        sealed,
      } of atFar.chunks) {
        assert.ok(same(sealed, made(150_000 + chunk, chunk)), `chunk ${chunk}`)
      }
      assert.ok(told.every((times) => times === 1))
    })

    pathTest("carries who wants what, and why not", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far)
      const names: ChunkName[] = [
        { version: 1, chunk: 0 },
        { version: 65_535, chunk: 4_294_967_295 },
        { version: 258, chunk: 16_909_060 },
      ]
      for (const each of names) near.ask(each)
      for (const each of names) near.cancel(each)
      const whys: Refusal[] = ["missing", "busy", "leaving"]
      for (const [at, why] of whys.entries()) far.refuse(names[at] as ChunkName, why)
      await atFar.until(() => atFar.cancelled.length === 3)
      await atNear.until(() => atNear.refused.length === 3)
      if (!ordered) for (const list of [atFar.asked, atFar.cancelled]) list.sort((a, b) => a.chunk - b.chunk)
      const expected = ordered ? names : [...names].sort((a, b) => a.chunk - b.chunk)
      assert.deepEqual(atFar.asked, expected)
      assert.deepEqual(atFar.cancelled, expected)
      for (const [at, why] of whys.entries()) {
        assert.ok(atNear.refused.some((each) => each.why === why && each.name.chunk === names[at]?.chunk))
      }
    })

    pathTest("lets an ask overtake the chunks that wait", async (pair) => {
      const { near, far } = pair
      record(near)
      const atFar = record(far)
      pair.stall()
      let sent = 0
      while (near.send({ version: 1, chunk: sent }, made(1_000_000, sent++)));
      for (let more = 0; more < beyondBuffers; more++) near.send({ version: 1, chunk: sent }, made(1_000_000, sent++))
      near.ask({ version: 1, chunk: 77 })
      pair.flow()
      await atFar.until(() => atFar.asked.length === 1)
      assert.ok(atFar.chunks.length <= sent - 3, `${atFar.chunks.length} of ${sent} chunks came before the ask`)
      await atFar.until(() => atFar.chunks.length === sent)
    })

    pathTest("does not send what was cancelled before its turn", async (pair) => {
      const { near, far } = pair
      const atNear = record(near)
      const atFar = record(far)
      pair.stall()
      let sent = 0
      const told: number[] = []
      const send = () => {
        const chunk = sent++
        return near.send({ version: 3, chunk }, made(1_000_000, chunk), () => told.push(chunk))
      }
      while (send());
      for (let more = 0; more < beyondBuffers; more++) send()
      far.cancel({ version: 3, chunk: sent - 2 })
      await atNear.until(() => atNear.cancelled.length === 1)
      assert.ok(told.includes(sent - 2))
      pair.flow()
      await atFar.until(() => atFar.chunks.length === sent - 1)
      await atNear.until(() => told.length === sent)
      assert.ok(!atFar.chunks.some(({ name: { chunk } }) => chunk === sent - 2))
    })

    pathTest("delivers what it has taken when it is closed", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far)
      const count = 12
      let told = 0
      for (let chunk = 0; chunk < count; chunk++) near.send({ version: 1, chunk }, made(500_000, chunk), () => told++)
      near.ask({ version: 1, chunk: 5 })
      near.close()
      near.close()
      assert.equal(
        near.send({ version: 1, chunk: 99 }, made(10, 1), () => told++),
        false,
      )
      await Promise.all([atNear.end(), atFar.end()])
      assert.equal(atFar.chunks.length, count)
      assert.equal(atFar.asked.length, 1)
      assert.equal(told, count + 1)
      await quiet(atNear, atFar)
    })

    pathTest("drops what it has taken when it is aborted, and tells so of each chunk", async (pair) => {
      const { near, far } = pair
      const atNear = record(near)
      const atFar = record(far)
      pair.stall()
      let sent = 0
      let told = 0
      while (near.send({ version: 1, chunk: sent++ }, made(700_000, 1), () => told++));
      for (let more = 0; more < 3; more++) near.send({ version: 1, chunk: sent++ }, made(700_000, 1), () => told++)
      const error = new RdvError("timeout", "enough")
      near.abort(error)
      near.abort(new RdvError("internal"))
      near.close()
      assert.equal(await atNear.end(), error)
      assert.equal(told, sent)
      assert.equal(near.queuedBytes, 0)
      assert.equal(
        near.send({ version: 1, chunk: 1 }, made(9, 1), () => told++),
        false,
      )
      assert.equal(told, sent + 1)
      near.ask({ version: 1, chunk: 1 })
      pair.flow()
      if (pair.garbage !== undefined) {
        await atFar.end()
        assert.ok(atFar.chunks.length < sent)
      }
      await quiet(atNear)
    })

    pathTest("may be aborted and closed out of every call", async ({ near, far }) => {
      record(near)
      let calls = 0
      const end = await new Promise<RdvError | undefined>((resolve) => {
        far.attach({
          room: (_name, length) => new Uint8Array(length),
          chunk() {
            calls++
            far.abort(new RdvError("corrupt"))
          },
          asked: () => calls++,
          cancelled: () => calls++,
          refused: () => calls++,
          ready: () => calls++,
          closed: resolve,
        })
        for (let chunk = 0; chunk < 5; chunk++) near.send({ version: 1, chunk }, made(1000, chunk))
        near.ask({ version: 1, chunk: 1 })
      })
      assert.equal(end?.code, "corrupt")
      await turns()
      assert.equal(calls, 1)
    })

    pathTest("tells a sink that comes late that it is over", async ({ near, far }) => {
      record(far)
      near.abort(new RdvError("expired"))
      const late = record(near)
      assert.equal((await late.end())?.code, "expired")
      await quiet(late)
    })

    pathTest("measures the round trip", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far)
      assert.equal(near.rttMs, undefined)
      near.ask({ version: 1, chunk: 1 })
      await atFar.until(() => atFar.asked.length === 1)
      far.send({ version: 1, chunk: 1 }, made(100, 1))
      await atNear.until(() => atNear.chunks.length === 1 && near.rttMs !== undefined)
      assert.ok((near.rttMs ?? -1) >= 0 && (near.rttMs ?? 1e9) < 5_000, `${near.rttMs} ms`)
    })

    void test("ends with a word on bytes that are none of its frames", { timeout: 30_000 }, async (t) => {
      const first = await connect(t)
      first.near.abort(new RdvError("closed"))
      first.far.abort(new RdvError("closed"))
      if (first.garbage === undefined) {
        t.skip("strangers' bytes are dropped")
        return
      }
      const frames: readonly (readonly number[])[] = [
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        [7, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        // An ask with bytes behind it.
        [2, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
        // Of no bytes, of more than any chunk has, and as many as fit the field.
        [1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 1, 0, 16, 0, 17],
        [1, 0, 0, 1, 0, 0, 0, 1, 255, 255, 255, 255],
        // A second part without a first one, and an unknown kind.
        [1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9],
        [1, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9],
      ]
      for (const frame of frames) {
        const pair = await connect(t)
        const atNear = record(pair.near)
        const atFar = record(pair.far, { room: () => assert.fail("nothing of it is stored") })
        pair.garbage?.(Uint8Array.from(frame))
        assert.equal((await atFar.end())?.code, "protocol", frame.join(" "))
        await atNear.end()
        await quiet(atFar)
      }
    })
  })
}

interface Recorder {
  readonly chunks: { readonly name: ChunkName; readonly sealed: Uint8Array }[]
  readonly asked: ChunkName[]
  readonly cancelled: ChunkName[]
  readonly refused: { readonly name: ChunkName; readonly why: Refusal }[]
  readonly readies: number
  readonly calls: number
  until(met: () => boolean): Promise<void>
  end(): Promise<RdvError | undefined>
}

const recorders = new WeakMap<ChunkPath, Recorder>()

/** Attaches a sink that remembers, and that fails the test when it is called after `closed`. */
function record(
  path: ChunkPath,
  options: { readonly room?: (name: ChunkName, length: number) => Uint8Array | undefined } = {},
): Recorder {
  const waiting = new Set<() => void>()
  let end: { readonly error: RdvError | undefined } | undefined
  const state = { calls: 0, readies: 0 }
  const live = (call: () => void) => {
    assert.equal(end, undefined, "a call after closed")
    state.calls++
    call()
    for (const look of waiting) look()
  }
  const recorder: Recorder = {
    chunks: [],
    asked: [],
    cancelled: [],
    refused: [],
    get readies() {
      return state.readies
    },
    get calls() {
      return state.calls
    },
    until: (met) =>
      new Promise((resolve, reject) => {
        const settle = (error?: Error) => {
          clearTimeout(timer)
          clearInterval(now)
          waiting.delete(look)
          if (error === undefined) resolve()
          else reject(error)
        }
        const look = () => {
          if (met()) settle()
          else if (end !== undefined) settle(new Error(`closed before: ${end.error?.message ?? "in good order"}`))
        }
        const timer = setTimeout(() => {
          const { chunks, asked } = recorder
          settle(new Error(`waited in vain: ${met.toString()}, ${chunks.length} chunks, ${asked.length} asks`))
        }, 15_000)
        // What is looked at may belong to the other side.
        const now = setInterval(look, 5)
        waiting.add(look)
        look()
      }),
    async end() {
      if (end === undefined) await new Promise<void>((resolve) => waiting.add(() => end !== undefined && resolve()))
      return end?.error
    },
  }
  path.attach({
    room: (name, length) => {
      assert.equal(end, undefined, "room after closed")
      return options.room === undefined ? new Uint8Array(length) : options.room(name, length)
    },
    chunk: (name, sealed) => live(() => recorder.chunks.push({ name, sealed })),
    asked: (name) => live(() => recorder.asked.push(name)),
    cancelled: (name) => live(() => recorder.cancelled.push(name)),
    refused: (name, why) => live(() => recorder.refused.push({ name, why })),
    ready: () => live(() => state.readies++),
    closed: (error) =>
      live(() => {
        end = { error }
      }),
  })
  recorders.set(path, recorder)
  return recorder
}

/** The next `ready` of a path that was recorded. */
async function atReady(path: ChunkPath): Promise<void> {
  const recorder = recorders.get(path)
  assert.ok(recorder !== undefined)
  const before = recorder.readies
  await recorder.until(() => recorder.readies > before)
}

/** Some more turns of the event loop bring no further call. */
async function quiet(...all: Recorder[]): Promise<void> {
  const before = all.map(({ calls }) => calls)
  await turns()
  assert.deepEqual(
    all.map(({ calls }) => calls),
    before,
    "nothing is called after closed",
  )
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const noise = randomFillSync(new Uint8Array(largestChunk + sealBytes + 65_536))

/** The same bytes for the same arguments, others for others. */
function made(size: number, seed: number): Uint8Array {
  return noise.slice((seed * 61) % 65_536, ((seed * 61) % 65_536) + size)
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0
}
