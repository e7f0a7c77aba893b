/**
 * How much to write at a time. Large writes need few calls, and make the kernel take large pages: usually the cheapest way. But
 * in a virtual machine that returns free memory to its host the large pages are those that are gone, and getting them back
 * costs up to ten times what writing costs, where small writes find small pages that are still there. Nobody tells a program
 * which machine it is on, so both ways are tried, and tried again from time to time.
 */
export class WriteSize {
  /** ms per byte; NaN: not known. */
  readonly #costs: [whole: number, small: number] = [Number.NaN, Number.NaN]
  #calls = 0
  #isSmall = false

  /** Bytes of each call for the next write. */
  next(): number {
    const at = this.#calls++
    const [whole, small] = this.#costs
    if (at < firstCalls) this.#isSmall = at % 2 === 1
    else this.#isSmall = small < whole !== (at % againCalls === 0)
    return this.#isSmall ? smallBytes : Infinity
  }

  /** What the write took that `next` was asked for. */
  took(bytes: number, ms: number): void {
    if (bytes < leastBytes) return
    const at = this.#isSmall ? 1 : 0
    const before = this.#costs[at]
    const cost = ms / bytes
    // A process that lost its turn says nothing about writing: what is dearer counts less.
    if (Number.isNaN(before)) this.#costs[at] = cost
    else this.#costs[at] = before + (cost < before ? (cost - before) / 2 : (Math.min(cost, before * 4) - before) / 4)
  }
}

const smallBytes = 16_384
/** Shorter writes tell nothing. */
const leastBytes = 65_536
/** Both in turn. */
const firstCalls = 12
const againCalls = 64
