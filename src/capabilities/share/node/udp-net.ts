/** Paths over UDP between members, at the port where connections come in too: one address serves for both. */

import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { DatagramEndpoint } from "../paths/datagram-endpoint.ts"
import type { DatagramAddress } from "../paths/datagram-socket.ts"
import type { DatagramNet, DirectNet } from "../paths/direct-net.ts"
import { directTarget, mostAddresses } from "./direct-addresses.ts"
import { openSocketNet } from "./socket-net.ts"
import type { SocketNetOptions } from "./socket-net.ts"
import { udpMac } from "./udp-mac.ts"
import { openUdp } from "./udp-socket.ts"

export interface UdpNetOptions {
  /** Default: any free one. */
  readonly port?: number
  /** An IPv4 address of this machine. Default: all. */
  readonly host?: string
  /** Also within this machine, for tests and benchmarks. Default false. */
  readonly loopback?: boolean
  readonly clock?: Clock
}

/** Rejects `in_use`, `unreachable`. IPv4 alone: whoever has IPv6 has no translator to get through. */
export async function openUdpNet(options: UdpNetOptions = {}): Promise<DatagramNet> {
  const { port, host, loopback = false, clock = systemClock } = options
  const socket = await openUdp({ ...(port !== undefined && { port }), ...(host !== undefined && { host }) })
  const endpoint = new DatagramEndpoint({ socket, clock, macFor: udpMac })
  return {
    port: endpoint.local.port,
    sit: ({ key, member, onPath }) => {
      const seat = endpoint.sit({ key, name: member, onPath })
      return {
        dial: (addresses, other, signal) => seat.dial(targets(addresses, loopback), other, signal),
        close: () => seat.close(),
      }
    },
    close: () => endpoint.close(),
  }
}

/** Connections, and datagrams beside them where the port is free for both. Rejects as `openSocketNet` does. */
export async function openMemberNet(options: SocketNetOptions = {}): Promise<DirectNet> {
  const net = await openSocketNet(options)
  if (options.listen === false) return net
  const port = Number(/:(\d+)$/.exec(net.addresses[0] ?? "")?.[1] ?? 0)
  const { host, loopback, clock } = options
  const datagrams = await openUdpNet({
    port,
    ...(host !== undefined && { host }),
    ...(loopback !== undefined && { loopback }),
    ...(clock !== undefined && { clock }),
  }).catch(() => undefined)
  if (datagrams === undefined) return net
  return {
    get addresses() {
      return net.addresses
    },
    get onPipe() {
      return net.onPipe
    },
    set onPipe(take) {
      net.onPipe = take
    },
    dial: (addresses, signal) => net.dial(addresses, signal),
    datagrams,
    async close() {
      datagrams.close()
      await net.close()
    },
  }
}

function targets(addresses: readonly string[], loopback: boolean): DatagramAddress[] {
  return addresses.slice(0, mostAddresses).flatMap((text) => {
    const target = directTarget(text, loopback)
    return target === undefined || target.host.includes(":") ? [] : [{ address: target.host, port: target.port }]
  })
}
