/** Direct connections between members of one process, which tests can cut. */

import type { Clock } from "../../src/base/clock.ts"
import { RdvError } from "../../src/base/error.ts"
import type { DirectNet } from "../../src/capabilities/share/paths/direct-net.ts"
import type { Pipe } from "../../src/base/pipe.ts"
import { memoryPair } from "../../src/transport/memory.ts"
import type { MemoryOptions, MemoryPair } from "../../src/transport/memory.ts"

export class MemoryNet {
  readonly #clock: Clock
  readonly #options: MemoryOptions
  readonly #ends = new Map<string, End>()
  readonly pairs: Set<MemoryPair> = new Set()
  #next = 1
  /** Nobody reaches anybody. */
  isShut = false

  constructor(clock: Clock, options: MemoryOptions = {}) {
    this.#clock = clock
    this.#options = options
  }

  join(): DirectNet {
    const address = `10.0.0.${this.#next++}:7000`
    const end = new End(address, this)
    this.#ends.set(address, end)
    return end
  }

  cut(): void {
    for (const pair of this.pairs) pair.cut()
    this.pairs.clear()
  }

  dial(addresses: readonly string[]): Pipe {
    const end = addresses.map((address) => this.#ends.get(address)).find((each) => each?.onPipe !== undefined)
    if (end?.onPipe === undefined || this.isShut) throw new RdvError("unreachable", "Nobody is there")
    const pair = memoryPair(this.#clock, this.#options)
    this.pairs.add(pair)
    end.onPipe(pair.b)
    return pair.a
  }

  leave(address: string): void {
    this.#ends.delete(address)
  }
}

class End implements DirectNet {
  readonly addresses: readonly string[]
  onPipe: ((pipe: Pipe) => void) | undefined
  readonly #net: MemoryNet

  constructor(address: string, net: MemoryNet) {
    this.addresses = [address]
    this.#net = net
  }

  async dial(addresses: readonly string[], signal: AbortSignal): Promise<Pipe> {
    await Promise.resolve()
    signal.throwIfAborted()
    return this.#net.dial(addresses)
  }

  close(): Promise<void> {
    for (const address of this.addresses) this.#net.leave(address)
    return Promise.resolve()
  }
}
