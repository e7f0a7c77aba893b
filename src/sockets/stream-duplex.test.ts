import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { sessionPair } from "../../test/kit/session-pair.ts"
import type { SessionStream } from "../mux/session-stream.ts"
import { StreamDuplex } from "./stream-duplex.ts"

async function pair(t: TestContext): Promise<{ duplex: StreamDuplex; peer: SessionStream }> {
  const { promise, resolve } = Promise.withResolvers<SessionStream>()
  const sessions = sessionPair({ onAccepted: resolve })
  t.after(() => sessions.close())
  const duplex = new StreamDuplex(sessions.dialer.open("test", {}))
  return { duplex, peer: await promise }
}

/** Reads as slowly as the test says: nothing is given back before `take`. */
class SlowPeer {
  bytes = 0
  owed = 0
  readonly ended: Promise<string>
  readonly #stream: SessionStream

  constructor(stream: SessionStream) {
    this.#stream = stream
    this.ended = new Promise((resolve) => {
      stream.attach({
        data: (chunk) => {
          this.bytes += chunk.length
          this.owed += chunk.length
        },
        meta: () => undefined,
        end: () => resolve("end"),
        drain: () => undefined,
        closed: (error) => resolve(error?.code ?? "closed"),
      })
    })
  }

  take(): void {
    const { owed } = this
    this.owed = 0
    if (owed > 0) this.#stream.consumed(owed)
  }
}

test("what is queued when both sides have ended is delivered all the same", async (t) => {
  const { duplex, peer } = await pair(t)
  const slow = new SlowPeer(peer)
  peer.end()
  await new Promise((resolve) => duplex.resume().once("end", resolve))
  // More than the peer's window: a part waits here.
  let sent = 0
  while (duplex.write(Buffer.alloc(16_384, 7)) && sent < 4_000_000) sent += 16_384
  sent += 16_384
  let isOver = false
  const closed = new Promise<void>((resolve) => duplex.once("close", resolve)).then(() => (isOver = true))
  duplex.end()
  const ending = slow.ended.then((how) => {
    isOver = true
    return how
  })
  for (let turn = 0; turn < 10_000 && slow.bytes < sent; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (turn % 10 === 9) slow.take()
  }
  assert.equal(await ending, "end")
  assert.equal(slow.bytes, sent)
  await closed
  assert.ok(isOver)
})

test("destroyed before it has ended it resets the stream", async (t) => {
  const { duplex, peer } = await pair(t)
  const slow = new SlowPeer(peer)
  duplex.write("half")
  await new Promise((resolve) => setImmediate(resolve))
  duplex.destroy()
  assert.equal(await slow.ended, "cancelled")
})

test("a reset of the peer is an error with its reason", async (t) => {
  const { duplex, peer } = await pair(t)
  const failed = new Promise<Error>((resolve) => duplex.once("error", resolve))
  peer.reset("unreachable", "nobody there")
  assert.match((await failed).message, /nobody there/)
})
