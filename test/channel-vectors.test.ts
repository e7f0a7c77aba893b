/** The golden bytes of the channels' protocol against the server that ships. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { concat } from "../src/base/bytes.ts"
import { codeNumber } from "../src/base/error.ts"
import { systemClock } from "../src/base/clock.ts"
import { SeededRandom } from "../src/base/random.ts"
import type { JsonObject } from "../src/base/json.ts"
import type { Stream } from "../src/base/stream.ts"
import { Space } from "../src/capabilities/channels/core/space.ts"
import type { ChannelSettings } from "../src/capabilities/channels/core/settings.ts"
import { identifyAnyone } from "../src/capabilities/channels/files/identity.ts"
import type { Identity } from "../src/capabilities/channels/files/identity.ts"
import { channelHandler } from "../src/capabilities/channels/native/channel-service.ts"
import { FrameReader } from "../src/capabilities/channels/native/frame-reader.ts"
import { loopStreams } from "../src/capabilities/channels/native/loop-stream.ts"
import { channelService, frameKind } from "../src/capabilities/channels/native/protocol.ts"
import { settle } from "./kit/fake-clock.ts"
import { channelVectors } from "./vectors/channel-vectors.ts"

interface Step {
  readonly from: "client" | "server"
  readonly stream: string
  readonly open?: JsonObject
  readonly hex?: string
  readonly meta?: JsonObject
  readonly end?: true
  readonly reset?: number
}

const { frames, conversations, invalid } = channelVectors as {
  frames: { name: string; kind: keyof typeof frameKind; hex: string }[]
  conversations: { name: string; settings: Partial<ChannelSettings>; steps: Step[] }[]
  invalid: { open: JsonObject; hex: string; why: string }[]
}

/** The client's end of a stream, with what has arrived on it. */
class Peer {
  readonly stream: Stream
  bytes = ""
  readonly metas: JsonObject[] = []
  ended = false
  reset: number | undefined

  constructor(stream: Stream) {
    this.stream = stream
    stream.attach({
      data: (chunk) => {
        this.bytes += Buffer.from(chunk).toString("hex")
        stream.consumed(chunk.length)
      },
      meta: (block) => void this.metas.push(block),
      end: () => (this.ended = true),
      drain: () => undefined,
      closed: (error) => (this.reset = error === undefined ? undefined : codeNumber(error.code)),
    })
  }
}

async function server(settings: Partial<ChannelSettings>): Promise<(header: JsonObject) => Peer> {
  const space = new Space({ clock: systemClock, random: new SeededRandom(1) })
  space.create("/jobs", {}, settings)
  const identity = (await identifyAnyone({ user: { name: "v", uid: 1 }, aname: "" })) as Identity
  const handle = channelHandler(space, { clock: systemClock, identify: () => identity })
  return (header) => {
    const [near, far] = loopStreams(channelService, header)
    handle({ stream: far, header, caller: { peer: "vectors", owner: undefined } })
    return new Peer(near)
  }
}

for (const { name, kind, hex } of frames) {
  test(`channel frame: ${name}`, () => {
    const found: string[] = []
    const sink = {
      frame(code: number, bytes: Uint8Array, start: number, end: number) {
        found.push(`${code} ${Buffer.from(bytes.subarray(start, end)).toString("hex")}`)
      },
    }
    const bytes = Buffer.from(hex, "hex")
    for (const size of [bytes.length, 1, 3]) {
      const reader = new FrameReader(sink, 1000)
      for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size))
      assert.equal(found.pop(), `${frameKind[kind]} ${bytes.subarray(5).toString("hex")}`)
      assert.equal(found.length, 0)
    }
  })
}

for (const { name, settings, steps } of conversations) {
  test(`channel conversation: ${name}`, async () => {
    const open = await server(settings)
    const peers = new Map<string, Peer>()
    for (const [at, step] of steps.entries()) {
      const where = `step ${at}`
      if (step.open !== undefined) peers.set(step.stream, open(step.open))
      const peer = peers.get(step.stream) as Peer
      if (step.from === "client") {
        if (step.hex !== undefined) peer.stream.write(Buffer.from(step.hex, "hex"))
        if (step.meta !== undefined) peer.stream.meta(step.meta)
        if (step.end === true) peer.stream.end()
        await settle()
        continue
      }
      await settle()
      if (step.hex !== undefined) {
        assert.equal(peer.bytes, step.hex, where)
        peer.bytes = ""
      }
      if (step.meta !== undefined) assert.deepEqual(peer.metas.shift(), step.meta, where)
      if (step.end === true) assert.ok(peer.ended, where)
      if (step.reset !== undefined) assert.equal(peer.reset, step.reset, where)
    }
    for (const { stream, bytes, metas } of peers.values()) {
      assert.deepEqual([bytes, metas], ["", []], "nothing else was said")
      stream.reset("cancelled")
    }
  })
}

for (const { open: header, hex, why } of invalid) {
  test(`a client that breaks the protocol is told so: ${why}`, async () => {
    const open = await server({})
    const peer = open(header)
    await settle()
    peer.stream.write(concat([Buffer.from(hex, "hex")]))
    await settle()
    assert.equal(peer.reset, codeNumber("protocol"))
  })
}
