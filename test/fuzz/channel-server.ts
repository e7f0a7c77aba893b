/** Streams of the channels' service as a function of bytes: its answers, and a finding when a message is left behind. */

import type { RdvError } from "../../src/base/error.ts"
import { SeededRandom } from "../../src/base/random.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Stream, StreamSink } from "../../src/base/stream.ts"
import { Space } from "../../src/capabilities/channels/core/space.ts"
import type { Identity } from "../../src/capabilities/channels/files/identity.ts"
import { Backlog } from "../../src/capabilities/channels/native/backlog.ts"
import { channelHandler } from "../../src/capabilities/channels/native/channel-service.ts"
import { Outlet } from "../../src/capabilities/channels/native/frame-writer.ts"
import { channelVectors } from "../vectors/channel-vectors.ts"

const headers: readonly JsonObject[] = [
  { do: "send", path: "/jobs" },
  { do: "receive", path: "/jobs" },
  { do: "select" },
]

const { frames, invalid } = channelVectors as { frames: { hex: string }[]; invalid: { hex: string }[] }

/** The first byte says which stream. */
export const channelStreams: readonly Uint8Array[] = headers.flatMap((_header, at) =>
  [frames.map(({ hex }) => hex).join(""), ...frames.map(({ hex }) => hex), ...invalid.map(({ hex }) => hex)].map(
    (hex) => Buffer.concat([Uint8Array.of(at), Buffer.from(hex, "hex")]),
  ),
)

const everybody: Identity = {
  name: "fuzz",
  uid: 1,
  gid: 1,
  groups: [],
  admin: true,
  prefix: "/",
  mayReceive: () => true,
  maySend: () => true,
}

/** What the server writes as hexadecimal, and how it ended. */
export function serveChannel(chunks: readonly Uint8Array[]): string {
  const clock = { now: () => 0, wall: () => 0, after: () => ({ cancel: () => undefined }) }
  const space = new Space({ clock, random: new SeededRandom(1) })
  const jobs = space.create("/jobs", {}, { maxMessage: 4_096 })
  const other = space.create("/a")
  const flushes: (() => void)[] = []
  let heard = ""
  let sink: StreamSink | undefined
  let ended = "more"
  const stream: Stream = {
    id: 1,
    service: "channel",
    header: {},
    attach: (receiver) => (sink = receiver),
    write: (bytes) => {
      heard += Buffer.from(bytes).toString("hex")
      return true
    },
    meta: () => true,
    end: () => undefined,
    reset: (code) => {
      if (ended !== "more") return
      ended = code
      sink?.closed(undefined as RdvError | undefined)
    },
    consumed: () => undefined,
  }
  // Others who have the channel open: some wait to send, some to receive.
  const writer = jobs.writer()
  for (const byte of [1, 2, 3]) writer.send({ bytes: Uint8Array.of(byte), settled: () => undefined })
  const reader = other.reader()
  reader.receive({ take: (delivery) => delivery.done(), failed: () => undefined })
  const [first = new Uint8Array(0), ...rest] = chunks.filter((chunk) => chunk.length > 0)
  const header = headers[(first[0] ?? 0) % headers.length] as JsonObject
  const backlog = new Backlog(100_000)
  const handle = channelHandler(space, {
    clock,
    identify: () => everybody,
    outlet: new Outlet((flush) => flushes.push(flush)),
    backlog,
  })
  handle({ stream, header, caller: { peer: "fuzz", owner: undefined } })
  for (const chunk of [first.subarray(1), ...rest]) if (ended === "more") sink?.data(chunk)
  for (let flush = flushes.shift(); flush !== undefined; flush = flushes.shift()) flush()
  if (ended === "more") sink?.closed(undefined)
  writer.leave()
  reader.leave()
  const left = [
    backlog.bytes,
    space.messageBytes,
    jobs.stats().readers,
    jobs.stats().writers,
    other.stats().writers,
    jobs.stats().underWay,
  ]
  if (left.some((count) => count !== 0)) throw new Error(`left behind: ${left.join(" ")}`)
  return `${heard} ${ended}`
}
