/**
 * The service `channel`: sends, receives and selects of a space over streams of sessions (docs/protocol.md, section 9.5).
 * A stream does one thing, which its header names.
 */

import type { Clock } from "../../../base/clock.ts"
import { asRdvError } from "../../../base/error.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import type { Call, Caller, Host } from "../../../host/host.ts"
import type { Space } from "../core/space.ts"
import type { Identity } from "../files/identity.ts"
import { Backlog, backlogBytes } from "./backlog.ts"
import { ControlStream } from "./control-stream.ts"
import { Outlet } from "./frame-writer.ts"
import { MessageMemory } from "./message-memory.ts"
import { channelService, readStreamHeader } from "./protocol.ts"
import { ReceiveStream } from "./receive-stream.ts"
import { SelectStream } from "./select-stream.ts"
import { SendStream } from "./send-stream.ts"
import type { SendWindow, ServiceParts } from "./send-stream.ts"
import { View } from "./view.ts"

export interface ChannelServiceOptions {
  readonly clock: Clock
  /** Who a caller is. Throws `unauthorized` or `forbidden` for nobody. */
  readonly identify: (caller: Caller) => Identity
  /** What each sender may have unsettled. */
  readonly window?: SendWindow
  readonly outlet?: Outlet
  readonly backlog?: Backlog
}

/** Until a limit is reached that belongs to somebody: of the channel's waiting senders, of the space's memory. */
export const defaultSendWindow: SendWindow = { messages: 1024, bytes: 2 ** 20 }

/** Offers the channels of a space to the sessions of a host. */
export function offerChannels(
  host: Host,
  space: Space,
  options: Omit<ChannelServiceOptions, "clock" | "outlet" | "backlog">,
): void {
  host.accept(channelService, channelHandler(space, { ...options, clock: host.clock }))
}

/** The same for whoever has streams without a host. */
export function channelHandler(space: Space, options: ChannelServiceOptions): (call: Call) => void {
  const { outlet = new Outlet(), backlog = new Backlog(backlogBytes) } = options
  const parts: ServiceParts = { outlet, backlog, memory: new MessageMemory() }
  return ({ stream, header, caller }) => {
    try {
      const asked = readStreamHeader(header)
      const view = new View(space, options.identify(caller))
      stream.attach(sinkFor(stream, asked, view, options, parts))
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "internal") throw error
      stream.reset(error.code, error.mend === undefined ? error.message : `${error.message}; ${error.mend}`)
    }
  }
}

function sinkFor(
  stream: Stream,
  asked: ReturnType<typeof readStreamHeader>,
  view: View,
  { clock, window = defaultSendWindow }: ChannelServiceOptions,
  parts: ServiceParts,
): StreamSink {
  switch (asked.do) {
    case "send":
      return new SendStream(stream, view.open(asked.path, "send", asked.create), clock, window, parts)
    case "receive":
      return new ReceiveStream(stream, view.open(asked.path, "receive", asked.create), parts)
    case "select":
      return new SelectStream(stream, view, clock, parts)
    case "control":
      return new ControlStream(stream, view, clock)
    case "peek":
      return peek(stream, view.open(asked.path, "receive", undefined).head())
  }
}

/** A copy of the message that a receiver would get next, whole, and the end; without one the end alone. */
function peek(stream: Stream, head: Uint8Array | undefined): StreamSink {
  stream.meta({ found: head !== undefined, length: head?.length ?? 0 })
  if (head !== undefined) stream.write(head)
  stream.end()
  return {
    data: (chunk) => stream.consumed(chunk.length),
    meta: () => undefined,
    end: () => undefined,
    drain: () => undefined,
    closed: () => undefined,
  }
}
