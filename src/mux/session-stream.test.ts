import assert from "node:assert/strict"
import { test } from "node:test"
import { frame, openFrame } from "../../test/kit/frames.ts"
import { rawPeer } from "../../test/kit/raw-peer.ts"
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
