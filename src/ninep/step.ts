/**
 * What several connections of one server share within one synchronous step, which is the handling of what one socket has
 * brought: answers are collected and written once per connection at the step's end, never later, and the memory that they
 * and the received messages stand in meanwhile is used again.
 */

/** Somebody who has collected bytes and writes them when the step is over. */
export interface Collector {
  flush(): void
}

const slabBytes = 64 * 1024
const spareSlabs = 16
/** The largest messages and half of them; less is taken from the system as it is touched. */
const largeSpares = 4

export class NinepStep {
  #depth = 0
  readonly #collectors: Collector[] = []
  readonly #slabs: Uint8Array[] = []
  readonly #large: Uint8Array[] = []

  get isOpen(): boolean {
    return this.#depth > 0
  }

  enter(): void {
    this.#depth++
  }

  leave(): void {
    if (--this.#depth > 0) return
    for (let next = this.#collectors.shift(); next !== undefined; next = this.#collectors.shift()) next.flush()
  }

  /** Calls `flush` when the step is over; it must be open, and the collector asks once until then. */
  collect(collector: Collector): void {
    this.#collectors.push(collector)
  }

  /** Memory of at least this size; its contents are anything. */
  take(bytes: number): Uint8Array {
    if (bytes <= slabBytes) return this.#slabs.pop() ?? new Uint8Array(slabBytes)
    const at = this.#large.findIndex((spare) => spare.length >= bytes)
    if (at >= 0) return this.#large.splice(at, 1)[0] as Uint8Array
    let size = slabBytes
    while (size < bytes) size *= 2
    return new Uint8Array(size)
  }

  /** Gives memory back that nobody looks at any more. */
  give(memory: Uint8Array): void {
    if (memory.length === slabBytes) {
      if (this.#slabs.length < spareSlabs) this.#slabs.push(memory)
    } else if (this.#large.length < largeSpares) this.#large.push(memory)
  }
}
