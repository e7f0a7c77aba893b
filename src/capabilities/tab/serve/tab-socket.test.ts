import assert from "node:assert/strict"
import { test } from "node:test"
import { backlogBytes, messageBytes, QueuedSocket } from "./tab-socket.ts"

function carried(options: { room?: number } = {}) {
  const sent: (string | Uint8Array)[] = []
  const closes: [number, string][] = []
  let taken = 0
  let room = options.room ?? Infinity
  const socket = new QueuedSocket({
    send: (message) => {
      sent.push(message)
      return --room > 0
    },
    close: (code, reason) => void closes.push([code, reason]),
    taken: (bytes) => void (taken += bytes),
  })
  return {
    socket,
    sent,
    closes,
    taken: () => taken,
    drain(more: number) {
      room = more
      socket.drained()
    },
  }
}

test("messages come in order, and only what was read counts as taken", async () => {
  const { socket, taken } = carried()
  socket.open()
  for (const text of ["one", "two", "three"]) socket.deliver(text)
  assert.equal(socket.unreadBytes, 11)
  const messages = socket.messages[Symbol.asyncIterator]()
  assert.equal((await messages.next()).value, "one")
  assert.equal(taken(), 3)
  socket.over(1000, "bye")
  assert.deepEqual([(await messages.next()).value, (await messages.next()).value], ["two", "three"])
  assert.equal((await messages.next()).done, true)
  assert.deepEqual(await socket.closed, { code: 1000, reason: "bye" })
})

test("a reader that waits gets the next message at once, and the end", async () => {
  const { socket } = carried()
  socket.open()
  const messages = socket.messages[Symbol.asyncIterator]()
  const [first, second] = [messages.next(), messages.next()]
  socket.deliver("x")
  assert.deepEqual(await first, { done: false, value: "x" })
  socket.over(1006, "")
  assert.equal((await second).done, true)
})

test("who awaits each send waits while there is no room", async () => {
  const { socket, sent, drain } = carried({ room: 1 })
  await beforeOpen(socket, sent)
  socket.open()
  assert.deepEqual(sent, ["early"])
  const memory = Uint8Array.of(1)
  let isSent = false
  const second = socket.send(memory).then(() => (isSent = true))
  memory[0] = 2
  await new Promise(setImmediate)
  assert.equal(isSent, false)
  drain(1)
  await second
  assert.deepEqual(sent, ["early", Uint8Array.of(1)])
})

async function beforeOpen(socket: QueuedSocket, sent: unknown[]): Promise<void> {
  const early = socket.send("early")
  await new Promise(setImmediate)
  assert.deepEqual(sent, [])
  void early
}

test("a close comes behind what was sent, and nothing is sent behind it", async () => {
  const { socket, sent, closes, drain } = carried({ room: 1 })
  socket.open()
  void socket.send("a")
  const last = socket.send("b")
  socket.close(4000, "enough")
  assert.deepEqual(closes, [])
  await assert.rejects(socket.send("c"), { code: "closed" })
  drain(10)
  await last
  assert.deepEqual(sent, ["a", "b"])
  assert.deepEqual(closes, [[4000, "enough"]])
  assert.throws(() => socket.close(1006), { code: "usage" })
  assert.throws(() => socket.close(1000, "x".repeat(124)), { code: "usage" })
})

test("what waits when it is over is rejected, and who did not ask is not disturbed", async () => {
  const { socket } = carried({ room: 1 })
  socket.open()
  void socket.send("a")
  const waiting = socket.send("b")
  void socket.send("c")
  socket.over(1006, "")
  await assert.rejects(waiting, { code: "closed" })
  // An unhandled rejection would end the test.
  await new Promise(setImmediate)
})

test("an application that never waits is cut off before it fills the memory", async () => {
  const { socket, closes } = carried({ room: 1 })
  socket.open()
  await assert.rejects(socket.send("x".repeat(messageBytes + 1)), { code: "too_large" })
  const message = new Uint8Array(messageBytes / 4)
  for (let sent = 0; sent <= backlogBytes; sent += message.length) void socket.send(message)
  await assert.rejects(socket.send(message), { code: "limit" })
  assert.deepEqual(closes, [[1013, "too slow"]])
})

test("messages behind a loop that was left are dropped and count as taken", async () => {
  const { socket, taken } = carried()
  socket.open()
  socket.deliver("one")
  socket.deliver("two")
  for await (const message of socket.messages) {
    assert.equal(message, "one")
    break
  }
  socket.deliver("three")
  assert.equal(taken(), 11)
  assert.equal(socket.unreadBytes, 0)
})
