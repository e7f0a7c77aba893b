/**
 * STUN over UDP, so that peers need nobody else to learn where they are. An answer has hardly more bytes than its request,
 * and there is a bound to answers: forged senders gain nothing.
 */

import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { isIPv6 } from "node:net"
import { Bucket } from "../../../base/bucket.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { AddressBuckets } from "./address-buckets.ts"
import { answerStun } from "./stun-message.ts"
import type { TabLimits } from "./tab-limits.ts"

export interface StunServerOptions {
  readonly clock: Clock
  /** Empty for every interface. */
  readonly host: string
  /** 0 chooses a free one. */
  readonly port: number
  readonly limits: Pick<TabLimits, "stunPerAddress" | "stunPerSecond">
}

export interface StunServer {
  readonly host: string
  readonly port: number
  status(): { readonly port: number; readonly answered: number; readonly ignored: number; readonly limited: number }
  close(): Promise<void>
}

/** Rejects `in_use` or `usage`. */
export async function openStun({ clock, host, port, limits }: StunServerOptions): Promise<StunServer> {
  const socket = await bind(host, port)
  const all = new Bucket({ clock, perSecond: limits.stunPerSecond })
  const each = new AddressBuckets({
    clock,
    perSecond: limits.stunPerAddress,
    burst: 2 * limits.stunPerAddress,
    addresses: rememberedAddresses,
  })
  const bound = socket.address()
  const counts = { answered: 0, ignored: 0, limited: 0 }
  socket.on("message", (packet, from) => {
    const answer = answerStun(packet, from)
    if (answer === undefined) counts.ignored++
    // The bound for all is looked at last: one who asks too much takes nothing from others.
    else if (!each.take(from.address) || !all.take(1)) counts.limited++
    else {
      counts.answered++
      socket.send(answer, from.port, from.address, () => undefined)
    }
  })
  // A packet that could not be sent is lost as others are.
  socket.on("error", () => undefined)
  return {
    host: bound.address,
    port: bound.port,
    status: () => ({ port: bound.port, ...counts }),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

function bind(host: string, port: number): Promise<Socket> {
  const isEverywhere = host === "" || host === "::"
  const socket = createSocket(isEverywhere || isIPv6(host) ? "udp6" : "udp4")
  return new Promise((resolve, reject) => {
    socket.once("error", (error: Error & { code?: string }) => {
      socket.close()
      const place = `${host || "every interface"}, UDP port ${port}`
      if (error.code === "EADDRINUSE")
        reject(new RdvError("in_use", `STUN cannot be answered at ${place}: it is in use`))
      else reject(new RdvError("usage", `STUN cannot be answered at ${place} (${error.code ?? error.message})`))
    })
    socket.bind({ port, ...(!isEverywhere && { address: host }) }, () => {
      socket.removeAllListeners("error")
      resolve(socket)
    })
  })
}

const rememberedAddresses = 10_000
