/**
 * A network of datagrams in memory, on a clock that is given: with a fake one and a seed, every run is the same. Roads
 * delay, lose, double and disorder what goes over them, and have a rate with a buffer in front; who shares a road shares
 * its rate.
 */

import type { Clock } from "../../src/base/clock.ts"
import type { SeededRandom } from "../../src/base/random.ts"
import type {
  DatagramAddress,
  DatagramSink,
  DatagramSocket,
} from "../../src/capabilities/share/paths/datagram-socket.ts"

export interface RoadFacts {
  /** One way, ms. */
  delayMs?: number
  /** Up to so much more, by chance: later ones overtake. */
  jitterMs?: number
  /** Shares of all datagrams. */
  loss?: number
  doubled?: number
  /** Larger ones vanish. */
  mostBytes?: number
  bytesPerMs?: number
  /** In front of the rate; what does not fit is lost. */
  bufferBytes?: number
  /** Nothing comes through. */
  cut?: boolean
}

export class Road {
  readonly facts: RoadFacts
  sent = 0
  sentBytes = 0
  lost = 0
  /** When the rate has passed all that is in the buffer. */
  #freeAt = 0

  constructor(facts: RoadFacts = {}) {
    this.facts = facts
  }

  /** When it arrives, one moment for each copy. */
  pass(bytes: number, now: number, random: SeededRandom): number[] {
    const { delayMs = 0, jitterMs = 0, loss = 0, doubled = 0, mostBytes = Infinity, cut = false } = this.facts
    const { bytesPerMs = Infinity, bufferBytes = Infinity } = this.facts
    this.sent++
    this.sentBytes += bytes
    const waiting = Math.max(0, this.#freeAt - now) * (bytesPerMs === Infinity ? 0 : bytesPerMs)
    if (cut || bytes > mostBytes || random.fraction() < loss || waiting + bytes > bufferBytes) {
      this.lost++
      return []
    }
    this.#freeAt = Math.max(this.#freeAt, now) + bytes / bytesPerMs
    const copies = random.fraction() < doubled ? 2 : 1
    return Array.from({ length: copies }, () => this.#freeAt + delayMs + random.fraction() * jitterMs)
  }
}

export interface DatagramNetOptions {
  readonly clock: Clock
  readonly random: SeededRandom
  /** Both may be the same. Undefined: nobody gets there. */
  readonly road: (from: DatagramAddress, to: DatagramAddress) => Road | undefined
}

export class DatagramNet {
  readonly #options: DatagramNetOptions
  readonly #sockets: MemorySocket[] = []

  constructor(options: DatagramNetOptions) {
    this.#options = options
  }

  socket(address: string, port: number): MemorySocket {
    const socket = new MemorySocket({ address, port }, this)
    this.#sockets.push(socket)
    return socket
  }

  /** For `MemorySocket`. To a group: a copy to each member, over its own road. */
  carry(bytes: Uint8Array, from: MemorySocket, to: DatagramAddress): void {
    const { clock, random, road } = this.#options
    const now = clock.now()
    const copy = bytes.slice()
    for (const socket of this.#sockets) {
      if (!socket.hears(to)) continue
      for (const at of road(from.local, socket.local)?.pass(copy.length, now, random) ?? []) {
        const arrive = () => socket.arrived(copy, from.local)
        if (at <= now) setImmediate(arrive)
        else clock.after(at - now, arrive)
      }
    }
  }
}

export class MemorySocket implements DatagramSocket {
  readonly kind = "memory"
  readonly local: DatagramAddress
  /** The system takes nothing. */
  stalled = false
  readonly #net: DatagramNet
  #sink: DatagramSink | undefined
  readonly #groups: DatagramAddress[] = []
  sentBytes = 0
  #closed = false

  constructor(local: DatagramAddress, net: DatagramNet) {
    this.local = local
    this.#net = net
  }

  /** Gets what goes to this group as well. */
  join(group: DatagramAddress): this {
    this.#groups.push(group)
    return this
  }

  hears({ address, port }: DatagramAddress): boolean {
    return [this.local, ...this.#groups].some((each) => each.address === address && each.port === port)
  }

  attach(sink: DatagramSink): void {
    this.#sink = sink
  }

  send(bytes: Uint8Array, to: DatagramAddress): boolean {
    if (this.#closed || this.stalled) return false
    this.sentBytes += bytes.length
    this.#net.carry(bytes, this, to)
    return true
  }

  arrived(bytes: Uint8Array, from: DatagramAddress): void {
    if (!this.#closed) this.#sink?.datagram(bytes, from)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#sink?.closed(undefined)
  }
}
