import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../test/kit/fake-clock.ts"
import { frame, openFrame, u64 } from "../../test/kit/frames.ts"
import { testRuntime } from "../../test/kit/session-pair.ts"
import { emptyBytes } from "../base/bytes.ts"
import { segmentBytes } from "../base/segments.ts"
import type { Stream } from "../base/stream.ts"
import { frameType, headerBytes } from "../wire/frame.ts"
import type { Link, LinkSink } from "./link.ts"
import { defaultLimits } from "./limits.ts"
import { Session } from "./session.ts"

/** A session over a link whose kernel takes nothing until the test says so. */
function stuck(onStream: (stream: Stream) => void = () => undefined) {
  const clock = new FakeClock()
  const given: Uint8Array[] = []
  let sink: LinkSink | undefined
  let sent = 0
  const link = {
    kind: "stuck",
    peer: "stuck",
    protected: true,
    queuedBytes: 0,
    attach: (to: LinkSink) => void (sink = to),
    send(parts: readonly Uint8Array[]) {
      for (const part of parts) link.queuedBytes += part.length
      sent = link.queuedBytes
      return true
    },
    pause() {},
    resume() {},
    close() {},
    abort() {},
  } satisfies Link
  const session: Session = new Session({
    id: "stuck",
    role: "acceptor",
    limits: { ...defaultLimits, deadAfterMs: 1e9 },
    peer: { windowBytes: 2 ** 20, streams: 10 },
    runtime: {
      ...testRuntime,
      clock,
      segments: { take: () => new Uint8Array(segmentBytes), give: (segment) => void given.push(segment) },
    },
    onStream,
  })
  session.attachLink(link, 0, false, emptyBytes)
  return {
    clock,
    link,
    session,
    given,
    sent: () => sent,
    hear: (bytes: Uint8Array) => (sink as LinkSink).data(bytes),
  }
}

test("memory that the link still writes from is not given away, whatever the peer claims to have received", async () => {
  const { session, link, given, hear, clock } = stuck()
  await settle()
  const before = link.queuedBytes
  session.open("x", {}).write(new Uint8Array(200 * 1024))
  await settle()
  const sequenced = link.queuedBytes - before
  assert.ok(sequenced > 200 * 1024)
  hear(frame(frameType.ack, 0, u64(BigInt(sequenced))))
  assert.equal(session.status().unacknowledgedBytes, 0)
  assert.equal(given.length, 0)
  // The kernel takes everything; the next beat finds it.
  link.queuedBytes = 0
  clock.advance(1e9 / 4)
  assert.equal(given.length, 2)
  session.close()
})

test("what comes for a stream that is reset is not kept, also while the reset cannot be sent", async () => {
  let stream: Stream | undefined
  const { session, hear } = stuck((accepted) => {
    stream = accepted
    accepted.attach({ data() {}, meta() {}, end() {}, drain() {}, closed() {} })
  })
  hear(openFrame(1, "x"))
  const chunk = frame(frameType.data, 1, new Uint8Array(65_536))
  assert.equal(chunk.length, headerBytes + 65_536)
  assert.equal(hear(chunk), true)
  stream?.reset("cancelled")
  assert.equal(hear(chunk.slice()), false)
  assert.equal(session.state, "live")
  session.close()
})
