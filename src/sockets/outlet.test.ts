import assert from "node:assert/strict"
import type { Socket } from "node:net"
import { Writable } from "node:stream"
import { test } from "node:test"
import { SocketOutlet } from "./outlet.ts"

/** A socket whose kernel takes a write when the test says so; what waits behind it goes in one `writev`. */
function slowSocket() {
  let got = 0
  let failure: Error | undefined
  let take: (() => void) | undefined
  const wait = (bytes: number, done: () => void) => {
    take = () => {
      take = undefined
      got += bytes
      done()
    }
  }
  const socket = new Writable({
    write: (chunk: Buffer, _encoding, done) => wait(chunk.length, done),
    writev: (parts, done) =>
      wait(
        parts.reduce((sum, { chunk }) => sum + (chunk as Buffer).length, 0),
        done,
      ),
  })
  socket.on("error", (error) => (failure = error))
  return {
    socket: socket as unknown as Socket,
    got: () => got,
    failure: () => failure,
    /** Lets the kernel take the write under way, and what that sets off happen. */
    async take() {
      take?.()
      await new Promise((resolve) => setImmediate(resolve))
    },
    busy: () => take !== undefined,
  }
}

const piece = Buffer.alloc(1000)

test("credit comes back when everything that was written is taken", async () => {
  const slow = slowSocket()
  let taken = 0
  const outlet = new SocketOutlet(slow.socket, (bytes) => (taken += bytes))
  outlet.write(piece, piece.length)
  outlet.write(piece, piece.length)
  assert.equal(outlet.owed, 2000)
  await slow.take()
  assert.equal(taken, 0)
  await slow.take()
  assert.equal(taken, 2000)
  assert.equal(outlet.owed, 0)
})

test("a socket that is ended while bytes wait gets all of them, and no write behind its end", async () => {
  const slow = slowSocket()
  let taken = 0
  const outlet = new SocketOutlet(slow.socket, (bytes) => (taken += bytes))
  outlet.write(piece, piece.length)
  outlet.write(piece, piece.length)
  // The outlet's own mark is on its way now; this piece waits behind it.
  await slow.take()
  outlet.write(piece, piece.length)
  slow.socket.end()
  while (slow.busy()) await slow.take()
  assert.equal(slow.failure(), undefined)
  assert.equal(slow.got(), 3000)
  assert.equal(taken, 3000)
})
