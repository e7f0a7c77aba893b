/** How fast a count grows, over the last seconds: steady enough to read, quick enough to see a stall. */

export class RateMeter {
  /** The oldest first. */
  readonly #samples: { readonly atMs: number; readonly total: number }[] = []

  note(total: number, atMs: number): void {
    this.#samples.push({ atMs, total })
    // One that is older than the window stays: the rate begins there.
    while (this.#samples.length > 2 && atMs - (this.#samples[1] as { atMs: number }).atMs >= windowMs)
      this.#samples.shift()
  }

  /** 0 before half a second was seen. */
  perSecond(atMs: number): number {
    const [first] = this.#samples
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || atMs - first.atMs < 500) return 0
    return ((last.total - first.total) / (atMs - first.atMs)) * 1_000
  }
}

const windowMs = 4_000
