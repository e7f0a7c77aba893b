/** The publisher's side of `tab/publish`, against relays that are slow, refuse, or fall silent. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { utf8Encode } from "../../../base/text.ts"
import { publishBuild, unpublish } from "./publish-build.ts"

/** A relay's end that takes a bounded number of bytes until it is asked to go on. */
class SlowStream implements Stream {
  readonly id = 1
  readonly said: (JsonObject | number)[] = []
  sink: StreamSink | undefined
  isFull = false
  hasEnded = false
  readonly service: string
  readonly header: JsonObject

  constructor(service: string, header: JsonObject) {
    this.service = service
    this.header = header
  }

  attach(sink: StreamSink): void {
    this.sink = sink
  }

  meta(block: JsonObject): boolean {
    this.said.push(block)
    return !this.isFull
  }

  write(chunk: Uint8Array): boolean {
    assert.ok(!this.isFull, "it is written to without room")
    this.said.push(chunk.length)
    this.isFull = true
    setImmediate(() => {
      this.isFull = false
      this.sink?.drain()
    })
    return false
  }

  end(): void {
    this.hasEnded = true
    this.sink?.meta({ published: { app: "chat", url: "http://app.chat.localhost/" } })
    this.sink?.closed(undefined)
  }

  reset(code: ErrorCode): void {
    this.sink?.closed(new RdvError(code))
  }

  consumed(): void {
    // It sends nothing.
  }
}

const files = new Map([
  ["index.html", utf8Encode("<!doctype html>")],
  ["big.bin", new Uint8Array(200_000)],
  ["empty.txt", new Uint8Array(0)],
  [".rdv/tab.json", utf8Encode("{}")],
])

test("all but tab.json is sent, as fast as the relay takes it and not faster", async () => {
  let stream: SlowStream | undefined
  const published = await publishBuild((...call) => (stream = new SlowStream(...call)), "chat", files)
  assert.equal(published.url, "http://app.chat.localhost/")
  assert.deepEqual(stream?.header, { app: "chat", files: 3, bytes: 200_015 })
  const sizes = stream?.said.map((each) => (typeof each === "number" ? each : each["path"]))
  assert.deepEqual(sizes, ["index.html", 15, "big.bin", 65_536, 65_536, 65_536, 3_392, "empty.txt"])
})

test("a relay that refuses in the middle, or ends without a word, is a rejection; nothing hangs", async () => {
  const refusing = publishBuild(
    (...call) => {
      const stream = new SlowStream(...call)
      setImmediate(() => stream.reset("forbidden"))
      return stream
    },
    "chat",
    files,
  )
  await assert.rejects(refusing, { code: "forbidden" })
  const silent = unpublish((...call) => {
    const stream = new SlowStream(...call)
    stream.end = () => stream.sink?.closed(undefined)
    return stream
  }, "chat")
  await assert.rejects(silent, { code: "protocol" })
  const wrong = publishBuild(
    (...call) => {
      const stream = new SlowStream(...call)
      stream.end = () => {
        stream.sink?.meta({ published: "yes" })
        stream.sink?.closed(undefined)
      }
      return stream
    },
    "chat",
    files,
  )
  await assert.rejects(wrong, { code: "protocol" })
})
