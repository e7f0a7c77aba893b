import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import { linkSuite } from "../../test/suites/link-suite.ts"
import { fakeChannelPair } from "../../test/kit/data-channels.ts"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import { dataChannelLink } from "./data-channel.ts"

linkSuite(
  "data channel",
  async () => {
    const { a, b } = fakeChannelPair()
    return { near: dataChannelLink(a, { peer: "b" }), far: dataChannelLink(b, { peer: "a" }) }
  },
  { pauses: "neither" },
)

interface Heard {
  readonly chunks: Uint8Array[]
  length: number
  drains: number
  ended: RdvError | undefined | "no"
}

function hear(link: Link): Heard {
  const heard: Heard = { chunks: [], length: 0, drains: 0, ended: "no" }
  link.attach({
    data(bytes) {
      heard.chunks.push(bytes)
      heard.length += bytes.length
      return true
    },
    drain: () => heard.drains++,
    closed: (error) => (heard.ended = error),
  })
  return heard
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe("what is given to a data channel", () => {
  test("no message is above what the peer takes, and none above 64 KiB", async () => {
    for (const [messageBytes, most] of [
      [undefined, 65_536],
      [1_000_000, 65_536],
      [1200, 1200],
    ] as const) {
      const { a, b } = fakeChannelPair({ messageBytes: most })
      const link = dataChannelLink(a, { peer: "b", ...(messageBytes !== undefined && { messageBytes }) })
      const heard = hear(dataChannelLink(b, { peer: "a" }))
      link.send([Buffer.alloc(150_001, 1), Buffer.alloc(3), Buffer.alloc(0)])
      while (heard.length < 150_004) await turn()
      assert.equal(Math.max(...a.sizes), most)
    }
  })

  test("small parts go together", async () => {
    const { a, b } = fakeChannelPair()
    const heard = hear(dataChannelLink(b, { peer: "a" }))
    dataChannelLink(a, { peer: "b" }).send(Array.from({ length: 1000 }, () => Buffer.alloc(8)))
    while (heard.length < 8000) await turn()
    assert.equal(a.sizes.length, 1)
  })

  test("a channel never has more than a little above 1 MiB, however much is sent at once", async () => {
    const { a, b } = fakeChannelPair()
    const link = dataChannelLink(a, { peer: "b" })
    const heard = hear(dataChannelLink(b, { peer: "a" }))
    const here = hear(link)
    const part = Buffer.alloc(1_000_003, 7)
    assert.equal(link.send(Array.from({ length: 20 }, () => part)), false)
    assert.ok(link.queuedBytes >= 19_000_000)
    assert.equal(here.drains, 0)
    while (heard.length < 20 * part.length) await turn()
    await turn()
    assert.ok(a.mostBuffered < 1_200_000)
    assert.deepEqual([here.drains, link.queuedBytes], [1, 0])
  })

  test("a channel that takes nothing more is a lost link, not a thrown error", async () => {
    const { a } = fakeChannelPair({ messageBytes: 10 })
    const link = dataChannelLink(a, { peer: "b" })
    const here = hear(link)
    assert.equal(link.send([Buffer.alloc(11)]), false)
    await turn()
    assert.equal((here.ended as RdvError).code, "link_lost")
    assert.match((here.ended as RdvError).message, /b takes nothing more/)
  })

  test("text is refused", async () => {
    const { a, b } = fakeChannelPair()
    const here = hear(dataChannelLink(b, { peer: "a" }))
    b.binaryType = "blob"
    dataChannelLink(a, { peer: "b" }).send([Buffer.from("x")])
    while (here.ended === "no") await turn()
    assert.equal(here.ended?.code, "protocol")
  })

  test("what comes into a pause is held, and who sends without end is given up", async () => {
    const { a, b } = fakeChannelPair({ turnBytes: 4_000_000 })
    const link = dataChannelLink(a, { peer: "b" })
    const far = dataChannelLink(b, { peer: "a" })
    const heard = hear(far)
    far.pause()
    link.send([Buffer.alloc(1000, 5)])
    await turn()
    await turn()
    assert.equal(heard.length, 0)
    far.resume()
    while (heard.length < 1000) await turn()
    far.pause()
    const flood = hear(far)
    link.send(Array.from({ length: 17 }, () => Buffer.alloc(1_000_000)))
    while (flood.ended === "no") await turn()
    assert.equal(flood.ended?.code, "limit")
  })

  test("whoever is over says so once, so that its connection may go", async () => {
    const { a, b } = fakeChannelPair()
    let over = 0
    const link = dataChannelLink(a, { peer: "b", onOver: () => over++ })
    hear(dataChannelLink(b, { peer: "a" }))
    hear(link)
    link.abort(new RdvError("cancelled"))
    link.close()
    await turn()
    await turn()
    assert.equal(over, 1)
  })

  test("a cut anywhere leaves a beginning of what was sent, in order, and an error", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 6 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 0, max: 14 }),
        fc.integer({ min: 1, max: 200_000 }),
        async (sends, cutAfter, turnBytes) => {
          const pair = fakeChannelPair({ turnBytes })
          const link = dataChannelLink(pair.a, { peer: "b" })
          const here = hear(link)
          const there = hear(dataChannelLink(pair.b, { peer: "a" }))
          const counting = counter()
          for (const [index, sizes] of sends.entries()) {
            if (index === cutAfter) pair.cut()
            link.send(sizes.map(counting))
            await turn()
          }
          if (cutAfter >= sends.length) pair.cut()
          await turn()
          assert.equal((here.ended as RdvError).code, "link_lost")
          assert.equal((there.ended as RdvError).code, "link_lost")
          assert.ok(Buffer.concat(there.chunks).equals(replay(sends, there.length)))
        },
      ),
      { numRuns: 60 },
    )
  })
})

/** Makes parts that no other order or repetition would give. */
function counter(): (size: number) => Buffer {
  let at = 0
  return (size) => {
    const part = Buffer.alloc(size)
    for (let offset = 0; offset + 4 <= size; offset += 4) part.writeUInt32BE(at++, offset)
    return part
  }
}

/** The first bytes of what the sends above are. */
function replay(sends: readonly (readonly number[])[], length: number): Buffer {
  return Buffer.concat(sends.flat().map(counter())).subarray(0, length)
}
