import assert from "node:assert/strict"
import type { Socket } from "node:net"
import { test } from "node:test"
import { StallWatch } from "./stall-watch.ts"

test("a socket stands still while bytes wait and none goes, by neither of the two measures", () => {
  const socket = { writableLength: 0, bytesWritten: 0, _handle: { writeQueueSize: 0 } }
  const watch = new StallWatch(socket as unknown as Socket, 0)
  assert.equal(watch.stoodMs(1_000), 0, "nothing waits")
  Object.assign(socket, { writableLength: 500, bytesWritten: 600, _handle: { writeQueueSize: 300 } })
  assert.equal(watch.stoodMs(2_000), 0, "something new waits")
  assert.equal(watch.stoodMs(3_000), 1_000)
  socket._handle.writeQueueSize = 200
  assert.equal(watch.stoodMs(4_000), 0, "a part of the write went")
  assert.equal(watch.stoodMs(5_000), 1_000)
  Object.assign(socket, { writableLength: 900, bytesWritten: 1_000 })
  assert.equal(watch.stoodMs(6_000), 2_000, "more waits, nothing went")
  socket.writableLength = 800
  assert.equal(watch.stoodMs(7_000), 0, "a write is done")
  watch.restart(8_000)
  assert.equal(watch.stoodMs(9_000), 1_000)
})
