import assert from "node:assert/strict"
import { test } from "node:test"
import { eventually } from "../../../test/kit/raw-http.ts"
import { sessionPair } from "../../../test/kit/session-pair.ts"
import type { Stream, StreamSink } from "../../base/stream.ts"
import { holdStream } from "./held-stream.ts"

function noting(said: string[]): StreamSink {
  return {
    data: (chunk) => void said.push(Buffer.from(chunk).toString()),
    meta: () => undefined,
    end: () => void said.push("end"),
    drain: () => undefined,
    closed: (error) => void said.push(error?.code ?? "closed"),
  }
}

test("a receiver that comes late gets everything in order, and hears the end", async (t) => {
  const said: string[] = []
  let held: Stream | undefined
  const pair = sessionPair({ onAccepted: (stream) => (held = holdStream(stream, () => assert.fail("nobody left"))) })
  t.after(() => pair.close())
  const stream = pair.dialer.open("tcp/x", {})
  stream.attach(noting([]))
  stream.write(Buffer.from("one"))
  await eventually("it is there", () => held !== undefined)
  stream.write(Buffer.from("two"))
  stream.end()
  await eventually("all is there", () => pair.dialer.status().unacknowledgedBytes === 0)
  held?.attach(noting(said))
  await eventually("all has come", () => said.at(-1) === "end")
  assert.equal(said.slice(0, -1).join(""), "onetwo")
  assert.equal(said.filter((each) => each === "end").length, 1)
})

test("who leaves before there is a receiver is noticed", async (t) => {
  let gone = 0
  const pair = sessionPair({ onAccepted: (stream) => void holdStream(stream, () => gone++) })
  t.after(() => pair.close())
  const stream = pair.dialer.open("tcp/x", {})
  stream.attach(noting([]))
  stream.write(Buffer.from("one"))
  stream.reset("cancelled")
  await eventually("it is noticed", () => gone === 1)
})
