/** Relays and members that lie: between the honest ones and the world, bytes, tables and messages are changed. */

import type { Clock } from "../../src/base/clock.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Stream } from "../../src/base/stream.ts"
import type { DirectNet } from "../../src/capabilities/share/paths/direct-net.ts"
import type { Pipe } from "../../src/base/pipe.ts"
import { shareService } from "../../src/capabilities/share/protocol/control.ts"
import type { RunningRelay } from "../../src/node.ts"

/** What a liar makes of the truth. Undefined leaves it. */
export interface Lies {
  /** A message of the relay. */
  message?: ((message: JsonObject) => JsonObject) | undefined
  /** Bytes of a table. */
  table?: ((bytes: Uint8Array) => Uint8Array) | undefined
  /** A frame with a part of a chunk: its head of 12 bytes and what it carries. */
  part?: ((head: Uint8Array, sealed: Uint8Array) => readonly [Uint8Array, Uint8Array]) | undefined
}

/** A relay whose shares lie as `lies` says at the moment. */
export function lyingRelay({ relay, ...rest }: RunningRelay, lies: Lies, clock: Clock = relay.clock): RunningRelay {
  const liar = {
    clock,
    log: relay.log,
    report: relay.report.bind(relay),
    letGuestsIn: relay.letGuestsIn.bind(relay),
    accept: (service: string, handle: Parameters<typeof relay.accept>[1]) =>
      relay.accept(service, (call) => handle({ ...call, stream: lyingStream(call.stream, lies) })),
    takeGuests: (first: number, take: (pipe: Pipe, head: Uint8Array) => void) =>
      relay.takeGuests(first, (link, head) => take(lyingPipe(link, lies), head)),
  }
  return { ...rest, relay: liar as unknown as RunningRelay["relay"] }
}

/** One that lies about nothing, with another clock. */
export function withClock(running: RunningRelay, clock: Clock): RunningRelay {
  return lyingRelay(running, {}, clock)
}

/** Paths past the relay whose owner lies. */
export function lyingNet(net: DirectNet, lies: Lies): DirectNet {
  return {
    get addresses() {
      return net.addresses
    },
    get onPipe() {
      return net.onPipe
    },
    set onPipe(take) {
      net.onPipe = take === undefined ? undefined : (pipe) => take(lyingPipe(pipe, lies))
    },
    dial: async (addresses, signal) => lyingPipe(await net.dial(addresses, signal), lies),
    close: () => net.close(),
  }
}

/** Another byte in the middle. */
export function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  const at = copy.length >> 1
  copy[at] = (copy[at] as number) ^ 0x10
  return copy
}

function lyingStream(stream: Stream, lies: Lies): Stream {
  let head = new Uint8Array(0)
  const write = (bytes: Uint8Array) => {
    if (stream.service === shareService) return stream.write(lies.table?.(bytes) ?? bytes)
    const told = head.length === 12 && bytes.length > 12 ? lies.part?.(head, bytes)[1] : undefined
    head = bytes.slice(0, 13)
    return stream.write(told ?? bytes)
  }
  return {
    id: stream.id,
    service: stream.service,
    header: stream.header,
    attach: (sink) => stream.attach(sink),
    write,
    meta: (block) => stream.meta(lies.message?.(block as JsonObject) ?? block),
    end: () => stream.end(),
    reset: (code, reason) => stream.reset(code, reason),
    consumed: (bytes) => stream.consumed(bytes),
  }
}

function lyingPipe(pipe: Pipe, lies: Lies): Pipe {
  const isPart = ([head, sealed]: readonly Uint8Array[]) => head?.length === 12 && sealed !== undefined
  return {
    kind: pipe.kind,
    peer: pipe.peer,
    attach: (sink) => pipe.attach(sink),
    send: (parts) => {
      if (lies.part === undefined || !isPart(parts)) return pipe.send(parts)
      const [head, sealed] = parts as [Uint8Array, Uint8Array]
      return pipe.send(lies.part(head, sealed))
    },
    get queuedBytes() {
      return pipe.queuedBytes
    },
    pause: () => pipe.pause(),
    resume: () => pipe.resume(),
    close: () => pipe.close(),
    abort: (error) => pipe.abort(error),
  }
}
