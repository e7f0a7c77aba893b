/**
 * What every transport promises as a `Link`. A transport's own test is a call of `linkSuite` with a way to open a pair:
 *
 *     linkSuite("tcp", async () => { …; return { near, far, cleanUp } })
 */

import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import type { Hash } from "node:crypto"
import { describe, test } from "node:test"
import { RdvError } from "../../src/base/error.ts"
import type { Link, LinkSink } from "../../src/mux/link.ts"

export interface LinkPair {
  /** The end that dialled. */
  readonly near: Link
  /** The end that was accepted. */
  readonly far: Link
  cleanUp?(): void | Promise<void>
}

export interface LinkSuiteOptions {
  /** False for a transport whose dialling end cannot stop its peer (a page's WebSocket). Default true. */
  readonly nearPauses?: boolean
  /** `neither`: a pause holds what comes, and the peer does not feel it (a data channel). */
  readonly pauses?: "neither"
  /** Bytes of the bulk tests. Default 8 MiB. */
  readonly bulkBytes?: number
}

export function linkSuite(name: string, open: () => Promise<LinkPair>, options: LinkSuiteOptions = {}): void {
  const bulkBytes = options.bulkBytes ?? 8 * 1024 * 1024
  const both = options.nearPauses === false ? (["far"] as const) : (["near", "far"] as const)
  const pausing = options.pauses === "neither" ? [] : both

  const linkTest = (title: string, body: (pair: LinkPair) => Promise<void>): void => {
    test(title, { timeout: 15_000 }, async () => {
      const pair = await open()
      try {
        await body(pair)
      } finally {
        pair.near.abort(new RdvError("closed"))
        pair.far.abort(new RdvError("closed"))
        await pair.cleanUp?.()
      }
    })
  }

  describe(`a ${name} link`, () => {
    linkTest("delivers what each side sends, in order", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far)
      near.send([Buffer.from("one "), Buffer.from("two ")])
      near.send([Buffer.from("three")])
      far.send([Buffer.from("four")])
      assert.equal((await atFar.received(13)).toString(), "one two three")
      assert.equal((await atNear.received(4)).toString(), "four")
    })

    linkTest("delivers nothing before a sink is attached, and everything then", async ({ near, far }) => {
      near.send([Buffer.from("early")])
      record(near)
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal((await record(far).received(5)).toString(), "early")
    })

    linkTest("tells a sink that is attached in the moment of the end just once", async ({ near, far }) => {
      const atFar = record(far)
      const atNear = record(near)
      near.abort(new RdvError("cancelled"))
      assert.equal((await atNear.closed()).error?.code, "cancelled")
      await atFar.closed()
      await quiet(atNear, atFar)
    })

    linkTest(
      "carries bulk both ways at once without a changed byte, telling full and drained",
      async ({ near, far }) => {
        const atNear = record(near, { hashOnly: true })
        const atFar = record(far, { hashOnly: true })
        const [fromNear, fromFar] = await Promise.all([pump(near, atNear, bulkBytes), pump(far, atFar, bulkBytes)])
        await Promise.all([atNear.reached(bulkBytes), atFar.reached(bulkBytes)])
        assert.equal(atFar.digest(), fromNear.digest)
        assert.equal(atNear.digest(), fromFar.digest)
        await Promise.all([atNear.drained(fromNear.falses), atFar.drained(fromFar.falses)])
        assert.equal(atNear.drains, fromNear.falses, "each false is followed by one drain")
        assert.equal(atFar.drains, fromFar.falses, "each false is followed by one drain")
      },
    )

    linkTest("sends thousands of parts at once", async ({ near, far }) => {
      record(near)
      const atFar = record(far)
      const parts = Array.from({ length: 5000 }, (_, at) => Buffer.from(`${at},`))
      const whole = Buffer.concat(parts)
      near.send(parts)
      assert.ok((await atFar.received(whole.length)).equals(whole))
    })

    linkTest("never changes bytes that a sink kept, also when it keeps only some", async ({ near, far }) => {
      record(near)
      const kept: { bytes: Uint8Array; offset: number }[] = []
      let offset = 0
      const total = bulkBytes / 2
      await new Promise<void>((resolve) => {
        far.attach({
          data(bytes) {
            const keep = kept.length % 3 !== 1 || bytes.length % 2 === 0
            if (keep) kept.push({ bytes, offset })
            else kept.push({ bytes: Uint8Array.from(bytes), offset })
            offset += bytes.length
            if (offset === total) resolve()
            return keep
          },
          drain() {},
          closed: () => resolve(),
        })
        const sizes = [1, 100, 3000, 5000, 20_000, 300_000]
        let sent = 0
        for (let turn = 0; sent < total; turn++) {
          const part = pattern(sent, Math.min(sizes[turn % sizes.length] as number, total - sent))
          near.send([part])
          sent += part.length
        }
      })
      assert.equal(offset, total)
      for (const { bytes, offset: at } of kept) assert.ok(pattern(at, bytes.length).equals(bytes), `bytes at ${at}`)
    })

    for (const pausingSide of pausing) {
      linkTest(`lets the peer feel a pause of the ${pausingSide} end, and loses nothing by it`, async (pair) => {
        const sender = pausingSide === "near" ? pair.far : pair.near
        const receiver = pair[pausingSide]
        const atReceiver = record(receiver, { hashOnly: true })
        const atSender = record(sender)
        sender.send([Buffer.alloc(1)])
        await atReceiver.reached(1)
        receiver.pause()
        const hash = createHash("sha256").update(Buffer.alloc(1))
        let sent = 1
        const fill = async () => {
          // More than any kernel buffers on the way.
          while (sent < 128 * 1024 * 1024) {
            const part = randomBytes(65536)
            hash.update(part)
            sent += part.length
            if (sender.send([part])) continue
            if (!(await atSender.drainedWithin(150))) return
          }
        }
        await fill()
        assert.ok(sender.queuedBytes > 0, "the sender's bytes wait")
        assert.equal(atReceiver.bytes, 1, "nothing is delivered in a pause")
        receiver.resume()
        await atReceiver.reached(sent)
        assert.equal(atReceiver.digest(), hash.digest("hex"))
      })
    }

    linkTest("flushes what is queued when it is closed", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far, { hashOnly: true })
      const bytes = randomBytes(bulkBytes / 2)
      near.send([bytes])
      near.close()
      assert.equal((await atFar.closed()).error?.code, "link_lost", "the other end did not close")
      assert.equal(atFar.bytes, bytes.length)
      assert.equal(atFar.digest(), createHash("sha256").update(bytes).digest("hex"))
      assert.equal((await atNear.closed()).error, undefined)
      await quiet(atNear, atFar)
    })

    linkTest("ends without an error on both sides when both close", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far)
      near.send([Buffer.from("bye")])
      far.send([Buffer.from("farewell")])
      await Promise.all([atFar.reached(3), atNear.reached(8)])
      near.close()
      far.close()
      near.close()
      assert.equal((await atNear.closed()).error, undefined)
      assert.equal((await atFar.closed()).error, undefined)
      await quiet(atNear, atFar)
    })

    linkTest("closes although its own end is paused", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far)
      near.pause()
      far.send([Buffer.from("unread")])
      near.close()
      assert.equal((await atFar.closed()).error?.code, "link_lost")
      assert.equal((await atNear.closed()).error, undefined)
    })

    linkTest("ends at once when it is aborted, with that error here and a lost link there", async ({ near, far }) => {
      const atNear = record(near)
      const atFar = record(far)
      near.send([Buffer.from("x")])
      await atFar.reached(1)
      const error = new RdvError("protocol", "enough")
      near.abort(error)
      near.abort(new RdvError("internal", "again"))
      near.close()
      assert.equal(near.send([Buffer.from("late")]), false)
      assert.equal((await atNear.closed()).error, error)
      assert.equal((await atFar.closed()).error?.code, "link_lost")
      assert.equal(atFar.bytes, 1)
      await quiet(atNear, atFar)
    })

    linkTest("drops what is queued when it is aborted", async ({ near, far }) => {
      const atNear = record(near)
      far.pause()
      const atFar = record(far)
      while (near.send([Buffer.alloc(1048576)]));
      const error = new RdvError("timeout")
      near.abort(error)
      assert.equal((await atNear.closed()).error, error)
      assert.equal(near.queuedBytes, 0)
      far.resume()
      assert.equal((await atFar.closed()).error?.code, "link_lost")
      await quiet(atNear, atFar)
    })

    linkTest("delivers nothing more once its sink has aborted it from inside a delivery", async ({ near, far }) => {
      record(far)
      let deliveries = 0
      const error = await new Promise<RdvError | undefined>((resolve) => {
        near.attach({
          data() {
            deliveries++
            near.abort(new RdvError("corrupt"))
            return false
          },
          drain: () => assert.fail("drain after abort"),
          closed: resolve,
        })
        for (let turn = 0; turn < 50; turn++) far.send([Buffer.alloc(100_000)])
      })
      assert.equal(error?.code, "corrupt")
      assert.equal(deliveries, 1)
    })

    linkTest("tells a sink that comes late that the link is over", async ({ near, far }) => {
      const atFar = record(far)
      near.abort(new RdvError("expired"))
      assert.equal((await atFar.closed()).error?.code, "link_lost")
      assert.equal((await record(near).closed()).error?.code, "expired")
    })
  })
}

interface Recorder {
  readonly bytes: number
  readonly drains: number
  readonly calls: number
  /** All bytes so far, once there are so many. */
  received(count: number): Promise<Buffer>
  reached(count: number): Promise<void>
  drained(count: number): Promise<void>
  /** False when no drain comes in that time. */
  drainedWithin(ms: number): Promise<boolean>
  closed(): Promise<{ error: RdvError | undefined }>
  digest(): string
}

/** Attaches a sink that remembers, and that fails the test when it is called after `closed`. */
function record(link: Link, options: { hashOnly?: boolean } = {}): Recorder {
  const chunks: Buffer[] = []
  const hash: Hash = createHash("sha256")
  const waiting = new Set<() => void>()
  let bytes = 0
  let drains = 0
  let calls = 0
  let end: { error: RdvError | undefined } | undefined
  const changed = () => {
    calls++
    for (const check of waiting) check()
  }
  const until = (met: () => boolean, what: string) =>
    new Promise<void>((resolve, reject) => {
      const settle = (error?: Error) => {
        clearTimeout(timer)
        waiting.delete(check)
        if (error === undefined) resolve()
        else reject(error)
      }
      const check = () => {
        if (met()) settle()
        else if (end !== undefined) settle(new Error(`closed before ${what}: ${end.error?.message ?? "in good order"}`))
      }
      const timer = setTimeout(() => settle(new Error(`waited in vain for ${what}; ${bytes} bytes so far`)), 10_000)
      waiting.add(check)
      check()
    })
  const sink: LinkSink = {
    data(received) {
      assert.equal(end, undefined, "data after closed")
      assert.ok(received.length > 0, "an empty delivery")
      bytes += received.length
      hash.update(received)
      if (options.hashOnly !== true) chunks.push(Buffer.from(received))
      changed()
      return false
    },
    drain() {
      assert.equal(end, undefined, "drain after closed")
      drains++
      changed()
    },
    closed(error) {
      assert.equal(end, undefined, "closed twice")
      end = { error }
      changed()
    },
  }
  link.attach(sink)
  return {
    get bytes() {
      return bytes
    },
    get drains() {
      return drains
    },
    get calls() {
      return calls
    },
    async received(count) {
      await until(() => bytes >= count, `${count} bytes`)
      return Buffer.concat(chunks)
    },
    reached: (count) => until(() => bytes >= count, `${count} bytes`),
    drained: (count) => until(() => drains >= count, `${count} drains`),
    drainedWithin(ms) {
      const before = drains
      return new Promise((resolve) => {
        const settle = (answer: boolean) => {
          clearTimeout(timer)
          waiting.delete(check)
          resolve(answer)
        }
        const check = () => {
          if (drains > before) settle(true)
        }
        const timer = setTimeout(() => settle(false), ms)
        waiting.add(check)
      })
    },
    async closed() {
      await until(() => end !== undefined, "closed")
      return end as { error: RdvError | undefined }
    },
    digest: () => hash.copy().digest("hex"),
  }
}

/** Sends random bytes in random pieces, obeying the full signal. */
async function pump(link: Link, recorder: Recorder, total: number): Promise<{ digest: string; falses: number }> {
  const hash = createHash("sha256")
  let falses = 0
  for (let sent = 0; sent < total;) {
    const parts: Buffer[] = []
    for (let count = 1 + Math.floor(Math.random() * 4); count > 0 && sent < total; count--) {
      const size = Math.random() < 0.5 ? Math.random() * 200 : Math.random() * 100_000
      const part = randomBytes(Math.min(total - sent, Math.max(1, Math.floor(size))))
      hash.update(part)
      parts.push(part)
      sent += part.length
    }
    if (link.send(parts)) continue
    falses++
    await recorder.drained(falses)
    assert.equal(recorder.drains, falses, "no drain without a false before it")
  }
  return { digest: hash.digest("hex"), falses }
}

/** Two more turns of the event loop bring no further call. */
async function quiet(...recorders: Recorder[]): Promise<void> {
  const before = recorders.map(({ calls }) => calls)
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    recorders.map(({ calls }) => calls),
    before,
    "nothing is called after closed",
  )
}

function pattern(offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) bytes[at] = ((offset + at) * 2654435761) >>> 13
  return bytes
}
