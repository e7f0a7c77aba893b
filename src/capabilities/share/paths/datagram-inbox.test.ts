import assert from "node:assert/strict"
import { test } from "node:test"
import type { ChunkPathSink } from "./chunk-path.ts"
import { Inbox } from "./datagram-inbox.ts"

const sink = (room: (length: number) => Uint8Array | undefined): ChunkPathSink => ({
  room: (_name, length) => room(length),
  chunk: () => undefined,
  asked: () => undefined,
  cancelled: () => undefined,
  refused: () => undefined,
  ready: () => undefined,
  closed: () => undefined,
})

const piece = { version: 1, chunk: 3, length: 1 << 20 }

test("whoever sends every second byte of a chunk is a fault, and no memory", () => {
  const inbox = new Inbox()
  const all = sink((length) => new Uint8Array(length))
  assert.throws(
    () => {
      for (let offset = 0; offset < 100_000; offset += 2)
        inbox.piece({ ...piece, transfer: 0, offset }, new Uint8Array(1), all, () => undefined)
    },
    { code: "protocol" },
  )
})

test("whoever numbers transfers at will is a fault, too", () => {
  const inbox = new Inbox()
  const none = sink(() => undefined)
  assert.throws(
    () => {
      for (let transfer = 0; transfer < 100_000; transfer += 2)
        inbox.piece({ ...piece, transfer, offset: 0 }, new Uint8Array(1), none, () => undefined)
    },
    { code: "protocol" },
  )
  // One behind the other they are one range.
  const orderly = new Inbox()
  for (let transfer = 0; transfer < 10_000; transfer++)
    orderly.piece({ ...piece, transfer, offset: 0 }, new Uint8Array(1), none, () => undefined)
})
