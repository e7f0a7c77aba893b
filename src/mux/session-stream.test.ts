import assert from "node:assert/strict"
import { test } from "node:test"
import { frame, openFrame } from "../../test/kit/frames.ts"
import { rawPeer } from "../../test/kit/raw-peer.ts"
import type { Stream } from "../base/stream.ts"
import { frameType } from "../wire/frame.ts"

test("small pieces that a slow receiver keeps do not hold the memory that they were read into", async () => {
  const chunks: Uint8Array[] = []
  const peer = rawPeer({
    onStream: (stream) => {
      stream.attach({ data: (chunk) => chunks.push(chunk), meta() {}, end() {}, drain() {}, closed() {} })
    },
  })
  const read = Buffer.concat([
    openFrame(1, "x"),
    frame(frameType.data, 1, Buffer.alloc(50_000, "a")),
    frame(frameType.data, 1, Buffer.alloc(40_000, "b")),
    frame(frameType.data, 1, Buffer.alloc(1_000, "c")),
  ])
  await peer.say(read)
  assert.equal(Buffer.concat(chunks).toString(), "a".repeat(50_000) + "b".repeat(40_000) + "c".repeat(1_000))
  const small = chunks.findLast(({ length }) => length === 1_000)
  assert.equal(small?.buffer.byteLength, 1_000)
})

test("metadata behind bytes that are still looked into does not give their memory away", async () => {
  const kept: Uint8Array[] = []
  let stream: Stream | undefined
  const peer = rawPeer({
    onStream: (opened) => {
      stream = opened
      opened.attach({ data: (chunk) => kept.push(chunk), meta() {}, end() {}, drain() {}, closed() {} })
    },
  })
  // As a socket's reader does: what came back is read into again.
  Object.assign(peer.link.a, { recycle: (bytes: Uint8Array) => bytes.fill(0) })
  await peer.say(openFrame(1, "x"), frame(frameType.data, 1, Buffer.alloc(5_000, "a")))
  await peer.say(frame(frameType.meta, 1, JSON.stringify({ trailers: ["x", "y".repeat(6_000)] })))
  assert.equal(Buffer.concat(kept).toString(), "a".repeat(5_000))
  stream?.consumed(5_000)
  assert.equal(Buffer.concat(kept).toString(), "\0".repeat(5_000))
})

test("metadata that waited for a receiver gives no memory away either", async () => {
  const kept: Uint8Array[] = []
  const streams: Stream[] = []
  const peer = rawPeer({ onStream: (opened) => void streams.push(opened) })
  Object.assign(peer.link.a, { recycle: (bytes: Uint8Array) => bytes.fill(0) })
  await peer.say(openFrame(1, "x"), frame(frameType.data, 1, Buffer.alloc(5_000, "a")))
  await peer.say(frame(frameType.meta, 1, JSON.stringify({ trailers: ["x", "y".repeat(6_000)] })))
  streams[0]?.attach({ data: (chunk) => kept.push(chunk), meta() {}, end() {}, drain() {}, closed() {} })
  assert.equal(Buffer.concat(kept).toString(), "a".repeat(5_000))
})
