/** Datagrams of the network, as far as paths and casts need them: UDP in Node, a simulated network in tests. */

import type { RdvError } from "../../../base/error.ts"

export interface DatagramAddress {
  /** An IP address. */
  readonly address: string
  readonly port: number
}

export interface DatagramSink {
  /** The bytes are valid during the call alone. */
  datagram(bytes: Uint8Array, from: DatagramAddress): void
  /** Exactly once, and nothing behind it. */
  closed(error: RdvError | undefined): void
}

export interface DatagramSocket {
  /** `udp`, `memory`. */
  readonly kind: string
  /** Where it is bound. */
  readonly local: DatagramAddress
  attach(sink: DatagramSink): void
  /** The memory may change when it returns. False: not sent, the system's buffer is full; whoever cares sends it again. */
  send(bytes: Uint8Array, to: DatagramAddress): boolean
  close(): void
}

/** `host:port`, with brackets around IPv6. */
export function printAddress({ address, port }: DatagramAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

/** Undefined when it is no IP address with a port. Names are not resolved here. */
export function parseAddress(text: string): DatagramAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|(\d{1,3}(?:\.\d{1,3}){3})):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port < 1 || port > 65_535) return undefined
  return { address: (match[1] ?? match[2]) as string, port }
}
