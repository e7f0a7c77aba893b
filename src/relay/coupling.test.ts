/** Two real sessions and a relay's place between them, in memory. */

import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { eventually } from "../../test/kit/raw-http.ts"
import { sessionPair } from "../../test/kit/session-pair.ts"
import type { SessionPair } from "../../test/kit/session-pair.ts"
import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream } from "../base/stream.ts"
import type { SessionStream } from "../mux/session-stream.ts"
import { couple } from "./coupling.ts"

interface End {
  readonly stream: Stream
  text: string
  bytes: number
  /** Blocks with the bytes before them. */
  readonly metas: [JsonObject, number][]
  ended: boolean
  closed: RdvError | undefined | "open"
  /** False leaves the bytes unread. */
  reads: boolean
  /** Says that it has read what it left. */
  catchUp(): void
}

function endOf(stream: Stream, reads = true): End {
  let owed = 0
  const end: End = {
    stream,
    text: "",
    bytes: 0,
    metas: [],
    ended: false,
    closed: "open",
    reads,
    catchUp() {
      end.reads = true
      stream.consumed(owed)
      owed = 0
    },
  }
  stream.attach({
    data(chunk) {
      end.bytes += chunk.length
      if (end.bytes < 10_000) end.text += Buffer.from(chunk).toString()
      if (end.reads) stream.consumed(chunk.length)
      else owed += chunk.length
    },
    meta: (block) => void end.metas.push([block, end.bytes]),
    end: () => void (end.ended = true),
    drain: () => undefined,
    closed: (error) => void (end.closed = error),
  })
  return end
}

interface Call {
  readonly caller: End
  readonly service: End
  readonly left: SessionPair
  readonly right: SessionPair
}

/** A caller's session and a service's, with the relay's side of both coupled. */
async function call(t: TestContext, options: { serviceReads?: boolean; relink?: boolean } = {}): Promise<Call> {
  const { serviceReads = true, relink = false } = options
  const served = Promise.withResolvers<SessionStream>()
  const right = sessionPair({ relink, onDialled: served.resolve })
  const left = sessionPair({
    relink,
    onAccepted: (stream) => couple(stream, right.acceptor.open("svc", {})),
  })
  t.after(() => {
    left.close()
    right.close()
  })
  const caller = endOf(left.dialer.open("call", {}))
  const service = endOf(await served.promise, serviceReads)
  return { caller, service, left, right }
}

test("bytes and metadata pass both ways in order, and each side ends by itself", async (t) => {
  const { caller, service } = await call(t)
  caller.stream.write(Buffer.from("question"))
  caller.stream.meta({ at: "half" })
  caller.stream.write(Buffer.from("!"))
  caller.stream.end()
  await eventually("the service has all", () => service.ended)
  assert.deepEqual([service.text, service.metas], ["question!", [[{ at: "half" }, 8]]])
  assert.equal(caller.ended, false)
  service.stream.write(Buffer.from("answer"))
  service.stream.meta({ last: true })
  service.stream.end()
  await eventually("both are over", () => caller.closed === undefined && service.closed === undefined)
  assert.deepEqual([caller.text, caller.metas], ["answer", [[{ last: true }, 6]]])
})

test("a reset passes with its code and its reason, from either side", async (t) => {
  const first = await call(t)
  first.caller.stream.reset("cancelled", "no more")
  await eventually("the service hears it", () => first.service.closed !== "open")
  const second = await call(t)
  second.service.stream.reset("forbidden", "not this")
  await eventually("the caller hears it", () => second.caller.closed !== "open")
  const told = [first.service, second.caller].map(
    ({ closed }) => closed instanceof RdvError && [closed.code, closed.message],
  )
  assert.deepEqual(told, [
    ["cancelled", "no more"],
    ["forbidden", "not this"],
  ])
})

test("a session that ends closes the streams of the other one", async (t) => {
  const { caller, right, left } = await call(t)
  right.dialer.close()
  await eventually("the caller hears it", () => caller.closed !== "open")
  assert.ok(caller.closed instanceof RdvError)
  await eventually("no stream is left", () => left.acceptor.streamCount === 0)
})

test("a reader that stands still stops its sender, nothing is lost, and memory is bounded by the windows", async (t) => {
  const { caller, service, left, right } = await call(t, { serviceReads: false })
  const piece = new Uint8Array(64 * 1024)
  const total = 32 * 1024 * 1024
  let sent = 0
  const pump = () => {
    while (sent < total) {
      sent += piece.length
      if (!caller.stream.write(piece)) return
    }
  }
  caller.stream.attach({
    data: () => undefined,
    meta: () => undefined,
    end: () => undefined,
    drain: pump,
    closed: (error) => void (caller.closed = error),
  })
  pump()
  await eventually("nothing moves any more", () =>
    [left.dialer, right.acceptor].every((session) => session.status().unacknowledgedBytes === 0),
  )
  assert.ok(sent < 4 * 1024 * 1024, `${sent} bytes went into the pipe`)
  service.catchUp()
  await eventually("all has arrived", () => service.bytes === total)
  assert.ok(right.acceptor.streamCount === 1)
})

test("what was on its way when both links broke arrives once", async (t) => {
  const { caller, service, left, right } = await call(t, { relink: true })
  const sum = 1_000_000
  for (let at = 0; at < sum; at += 10_000) {
    caller.stream.write(new Uint8Array(10_000))
    if (at === 300_000) left.cut()
    if (at === 600_000) right.cut()
  }
  caller.stream.end()
  await eventually("the service has all", () => service.ended)
  assert.equal(service.bytes, sum)
})

test("a stream that was refused closes the other one with the reason", () => {
  const { stream: one, resets } = noted()
  const refused = {
    ...noted().stream,
    attach: (sink: Parameters<Stream["attach"]>[0]) => sink.closed(new RdvError("limit", "full")),
  }
  couple(one, refused)
  assert.deepEqual(resets, ["limit full"])
})

test("metadata is bounded while the other side is full, and counted anew when it is not", () => {
  const [one, other] = [noted(), noted()]
  couple(one.stream, other.stream)
  const block = { text: "x".repeat(50_000) }
  other.hasRoom = false
  for (let count = 0; count < 5; count++) one.sink().meta(block)
  assert.deepEqual(one.resets, [])
  other.sink().drain()
  for (let count = 0; count < 5; count++) one.sink().meta(block)
  assert.deepEqual(one.resets, [])
  one.sink().meta(block)
  assert.equal(one.resets.length, 1)
  assert.match(String(one.resets), /^limit Metadata/)
  assert.deepEqual(other.resets, one.resets)
})

test("bytes are given back when the other side has room, or is gone", () => {
  const [one, other] = [noted(), noted()]
  couple(one.stream, other.stream)
  one.sink().data(new Uint8Array(10))
  assert.equal(one.consumed, 10)
  other.hasRoom = false
  one.sink().data(new Uint8Array(5))
  one.sink().data(new Uint8Array(5))
  assert.equal(one.consumed, 10)
  other.hasRoom = true
  other.sink().drain()
  assert.equal(one.consumed, 20)
  other.hasRoom = false
  one.sink().data(new Uint8Array(7))
  other.sink().closed(new RdvError("timeout", "slow"))
  assert.deepEqual([one.consumed, one.resets], [27, ["timeout slow"]])
})

/** A stream that notes what is done to it. */
function noted() {
  let sink: Parameters<Stream["attach"]>[0] | undefined
  const resets: string[] = []
  const it = { resets, consumed: 0, hasRoom: true, sink: () => sink as NonNullable<typeof sink> }
  const stream: Stream = {
    id: 1,
    service: "svc",
    header: {},
    attach: (to) => void (sink = to),
    write: () => it.hasRoom,
    meta: () => it.hasRoom,
    end: () => undefined,
    reset(code, reason) {
      if (resets.length > 0) return
      resets.push(`${code} ${reason}`)
      sink?.closed(new RdvError(code, reason))
    },
    consumed: (bytes) => void (it.consumed += bytes),
  }
  return Object.assign(it, { stream })
}
