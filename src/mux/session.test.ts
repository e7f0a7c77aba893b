import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { test } from "node:test"
import type { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream } from "../base/stream.ts"
import { sessionPair } from "../../test/kit/session-pair.ts"

/** Everything that a stream delivers, consumed as it comes. */
function collect(stream: Stream) {
  const hash = createHash("sha256")
  const got = { bytes: 0, metas: [] as JsonObject[], ended: false, text: "" }
  const done = Promise.withResolvers<RdvError | undefined>()
  const ended = Promise.withResolvers<void>()
  stream.attach({
    data(chunk) {
      hash.update(chunk)
      if (got.bytes < 10_000) got.text += Buffer.from(chunk).toString()
      got.bytes += chunk.length
      stream.consumed(chunk.length)
    },
    meta: (block) => void got.metas.push(block),
    end() {
      got.ended = true
      ended.resolve()
    },
    drain: () => drains.splice(0).forEach((wake) => wake()),
    closed: (error) => done.resolve(error),
  })
  const drains: (() => void)[] = []
  return {
    got,
    closed: done.promise,
    ended: ended.promise,
    digest: () => hash.digest("hex"),
    drained: () => new Promise<void>((resolve) => drains.push(resolve)),
  }
}

test("a stream carries header, metadata, bytes and half-close in order, both ways", async () => {
  const served = Promise.withResolvers<ReturnType<typeof collect>>()
  const pair = sessionPair({
    onAccepted(stream) {
      assert.equal(stream.service, "echo")
      assert.deepEqual(stream.header, { path: "/" })
      const side = collect(stream)
      served.resolve(side)
      void side.ended.then(() => {
        stream.meta({ status: 200 })
        stream.write(Buffer.from("hello back"))
        stream.end()
      })
    },
  })
  const stream = pair.dialer.open("echo", { path: "/" })
  const here = collect(stream)
  stream.write(Buffer.from("hello "))
  stream.meta({ n: 1 })
  stream.write(Buffer.from("there"))
  stream.end()
  assert.equal(await here.closed, undefined)
  const there = await served.promise
  assert.equal(await there.closed, undefined)
  assert.equal(there.got.text, "hello there")
  assert.deepEqual(there.got.metas, [{ n: 1 }])
  assert.equal(here.got.text, "hello back")
  assert.deepEqual(here.got.metas, [{ status: 200 }])
  assert.equal(pair.dialer.streamCount, 0)
  assert.equal(pair.acceptor.streamCount, 0)
  pair.close()
})

for (const checked of [false, true]) {
  test(`64 MiB pass unchanged while the link is cut at random, checked: ${checked}`, async () => {
    const sent = createHash("sha256")
    const total = 64 * 1024 * 1024
    const served = Promise.withResolvers<ReturnType<typeof collect>>()
    const pair = sessionPair({
      checked,
      relink: true,
      memory: { poison: true, splitBytes: 50_001 },
      onAccepted: (stream) => served.resolve(collect(stream)),
    })
    const stream = pair.dialer.open("bulk", {})
    const here = collect(stream)
    let left = total
    let cuts = 0
    while (left > 0) {
      const chunk = randomBytes(Math.min(left, 1 + Math.floor(Math.random() * 200_000)))
      left -= chunk.length
      sent.update(chunk)
      if (Math.random() < 0.05) {
        cuts++
        pair.cut()
      }
      if (!stream.write(chunk)) await here.drained()
    }
    stream.end()
    const there = await served.promise
    await there.ended
    assert.equal(there.got.bytes, total)
    assert.equal(there.digest(), sent.digest("hex"))
    assert.ok(cuts > 0)
    assert.ok(pair.dialer.status().resumes > 0)
    pair.close()
  })
}

test("a byte that changed on a checked link costs the link and nothing else", async () => {
  const served = Promise.withResolvers<ReturnType<typeof collect>>()
  const pair = sessionPair({ checked: true, relink: true, onAccepted: (stream) => served.resolve(collect(stream)) })
  const stream = pair.dialer.open("bulk", {})
  const here = collect(stream)
  const body = randomBytes(3_000_000)
  pair.link.corruptNext(1_000_000)
  for (let at = 0; at < body.length; at += 100_000) {
    if (!stream.write(body.subarray(at, at + 100_000))) await here.drained()
  }
  stream.end()
  const there = await served.promise
  await there.ended
  assert.equal(there.digest(), createHash("sha256").update(body).digest("hex"))
  assert.ok(pair.acceptor.status().resumes >= 1)
  pair.close()
})

test("a reset reaches the peer with its code and frees both sides", async () => {
  const served = Promise.withResolvers<ReturnType<typeof collect>>()
  const pair = sessionPair({ onAccepted: (stream) => served.resolve(collect(stream)) })
  const stream = pair.dialer.open("bulk", {})
  const here = collect(stream)
  stream.write(Buffer.alloc(1000))
  const there = await served.promise
  stream.reset("cancelled", "the visitor left")
  const error = await there.closed
  assert.equal(error?.code, "cancelled")
  assert.equal(error?.origin, "remote")
  assert.equal(error?.message, "the visitor left")
  assert.equal((await here.closed)?.code, "cancelled")
  assert.equal(pair.dialer.streamCount, 0)
  assert.equal(pair.acceptor.streamCount, 0)
  pair.close()
})

test("a reader that takes nothing stops its writer at the window, and no other stream", async () => {
  let stalled: Stream | undefined
  const others = Promise.withResolvers<ReturnType<typeof collect>>()
  const pair = sessionPair({
    onAccepted(stream) {
      if (stream.service === "stalled") {
        stalled = stream
        stream.attach({ data() {}, meta() {}, end() {}, drain() {}, closed() {} })
      } else others.resolve(collect(stream))
    },
  })
  const slow = pair.dialer.open("stalled", {})
  slow.attach({ data() {}, meta() {}, end() {}, drain() {}, closed() {} })
  let taken = 0
  while (slow.write(Buffer.alloc(64 * 1024))) taken += 64 * 1024
  const quick = pair.dialer.open("quick", {})
  const here = collect(quick)
  for (let index = 0; index < 100; index++) if (!quick.write(Buffer.alloc(100_000))) await here.drained()
  quick.end()
  const there = await others.promise
  await there.ended
  assert.equal(there.got.bytes, 10_000_000)
  assert.ok(stalled !== undefined)
  assert.ok(taken <= 1024 * 1024)
  pair.close()
})

test("a receiver that throws costs its own stream and no other", async () => {
  const others = Promise.withResolvers<ReturnType<typeof collect>>()
  const pair = sessionPair({
    onAccepted(stream) {
      if (stream.service === "faulty") {
        const fail = () => {
          throw new TypeError("a bug")
        }
        stream.attach({ data: fail, meta: fail, end: fail, drain() {}, closed() {} })
      } else others.resolve(collect(stream))
    },
  })
  const faulty = collect(pair.dialer.open("faulty", {}))
  const stream = pair.dialer.open("faulty", {})
  const here = collect(stream)
  stream.write(Buffer.from("x"))
  assert.equal((await here.closed)?.code, "internal")
  const sound = pair.dialer.open("sound", {})
  collect(sound)
  sound.write(Buffer.from("hello"))
  sound.end()
  const there = await others.promise
  await there.ended
  assert.equal(there.got.text, "hello")
  assert.equal(faulty.got.ended, false)
  assert.equal(pair.closed.acceptor, "open")
  pair.close()
})
