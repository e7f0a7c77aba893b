/** IP multicast of Node as the casts of a swarm: a socket that hears for a receiver, one per interface for a sender. */

import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { networkInterfaces } from "node:os"
import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { castGroup } from "../paths/cast-place.ts"
import { CastReceiver } from "../paths/cast-receiver.ts"
import { CastSender } from "../paths/cast-sender.ts"
import type { CastEvents, CastListener, CastPlace, CastSink, CastSpeaker, ChunkCast } from "../paths/chunk-cast.ts"
import { enlarge, UdpSocket } from "./udp-socket.ts"
import { udpMac } from "./udp-mac.ts"

export interface UdpCastOptions {
  /** IPv4 addresses of the interfaces that take part. Default: all but loopback. */
  readonly interfaces?: readonly string[]
  /** Whether this machine hears its own datagrams: receivers and sender on one machine. Default true. */
  readonly multicastLoopback?: boolean
  /** How many routers they may pass. Default 1: none. */
  readonly multicastTtl?: number
  readonly clock?: Clock
}

export function udpCast(options: UdpCastOptions = {}): ChunkCast {
  const { multicastLoopback = true, multicastTtl = 1, clock = systemClock } = options
  const interfaces = (): readonly string[] => {
    const addresses = options.interfaces ?? castInterfaces()
    if (addresses.length === 0) throw new RdvError("unreachable", "No network interface for multicast")
    return addresses
  }
  return {
    listen(place: CastPlace, sink: CastSink): CastListener {
      const { address, port } = castGroup(place)
      const members = interfaces()
      const socket = open(port, (bound) => {
        for (const member of members) attempt(() => bound.addMembership(address, member))
      })
      return new CastReceiver({ socket, place, sink, clock, macFor: udpMac })
    },
    speak(place: CastPlace, events: CastEvents): CastSpeaker {
      const sockets = interfaces().map((from) =>
        open(0, (bound) => {
          attempt(() => bound.setMulticastInterface(from))
          attempt(() => bound.setMulticastTTL(multicastTtl))
          attempt(() => bound.setMulticastLoopback(multicastLoopback))
        }),
      )
      return new CastSender({ sockets, place, events, clock, macFor: udpMac })
    },
  }
}

/** IPv4 addresses of all interfaces but loopback, one each. */
export function castInterfaces(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => {
    const found = (addresses ?? []).find(({ family, internal }) => family === "IPv4" && !internal)
    return found === undefined ? [] : [found.address]
  })
}

/** It is bound in a moment; what is sent before is lost, as datagrams may be. */
function open(port: number, bound: (socket: Socket) => void): UdpSocket {
  const socket = createSocket({
    type: "udp4",
    reuseAddr: port !== 0,
    lookup: (address, _, found) => found(null, address, 4),
  })
  const wrapped = new UdpSocket(socket)
  socket.bind(port, () => {
    enlarge(socket)
    bound(socket)
  })
  return wrapped
}

/** An interface that has gone or cannot is one that does not take part. */
function attempt(call: () => void): void {
  try {
    call()
  } catch {
    // Nothing is heard there: that is what receivers report, or do not.
  }
}
