/**
 * Counts with a limit that several event loops keep together, exactly: `take` never lets one more in than the limit says,
 * and refuses nobody while there is room. Each loop's own part is kept beside the sums, so that what a loop held that is
 * gone can be given back.
 *
 * Memory: one row with the sums, and one for each loop, of `counters` words each.
 */

export interface TallyOptions {
  readonly counters: number
  readonly loops: number
}

export class Tally {
  /** On a SharedArrayBuffer, for loops in several threads: `new Tally(cells, options, loop)` there. */
  static shared({ counters, loops }: TallyOptions): Int32Array<SharedArrayBuffer> {
    return new Int32Array(new SharedArrayBuffer(4 * counters * (loops + 1)))
  }

  /** For one loop alone. */
  static single(counters: number): Tally {
    return new Tally(new Int32Array(counters * 2), { counters, loops: 1 }, 0)
  }

  readonly #cells: Int32Array
  readonly #options: TallyOptions
  /** Where this loop's row begins. */
  readonly #own: number

  /** `loop` from 0. */
  constructor(cells: Int32Array, options: TallyOptions, loop: number) {
    if (cells.length < options.counters * (options.loops + 1)) throw new RangeError("the cells are too few")
    if (loop < 0 || loop >= options.loops) throw new RangeError("there is no such loop")
    this.#cells = cells
    this.#options = options
    this.#own = options.counters * (loop + 1)
  }

  /** One more, unless there are as many as the limit says; undefined is no limit. */
  take(counter: number, limit: number | undefined): boolean {
    this.#check(counter)
    const cells = this.#cells
    if (limit === undefined) Atomics.add(cells, counter, 1)
    else {
      for (let now = Atomics.load(cells, counter); ;) {
        if (now >= limit) return false
        const before = Atomics.compareExchange(cells, counter, now, now + 1)
        if (before === now) break
        now = before
      }
    }
    Atomics.add(cells, this.#own + counter, 1)
    return true
  }

  /** One less, of those that this loop took. */
  give(counter: number): void {
    this.#check(counter)
    Atomics.sub(this.#cells, this.#own + counter, 1)
    Atomics.sub(this.#cells, counter, 1)
  }

  /** Of all loops. */
  count(counter: number): number {
    this.#check(counter)
    return Atomics.load(this.#cells, counter)
  }

  /** Of this loop. */
  own(counter: number): number {
    this.#check(counter)
    return Atomics.load(this.#cells, this.#own + counter)
  }

  /** Gives back all that a loop held that is gone for good. */
  release(loop: number): void {
    const { counters } = this.#options
    for (let counter = 0; counter < counters; counter++) {
      const held = Atomics.exchange(this.#cells, counters * (loop + 1) + counter, 0)
      Atomics.sub(this.#cells, counter, held)
    }
  }

  #check(counter: number): void {
    if (counter < 0 || counter >= this.#options.counters) throw new RangeError(`there is no counter ${counter}`)
  }
}
