/** How fast a count grows, over the last seconds: steady enough to read, quick enough to see a stall. */

const windowMs = 4_000
/** Samples that are closer together are one. */
const apartMs = 100

export class RateMeter {
  /** The oldest first; at most `windowMs / apartMs` and two. */
  #samples: { readonly at: number; readonly total: number }[] = []

  /** `total` is the count so far; `at` in ms of a monotonic clock. A total that falls (another version) begins anew. */
  note(total: number, at: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && total < last.total) this.#samples = []
    else if (last !== undefined && at - last.at < apartMs && this.#samples.length > 1) this.#samples.pop()
    this.#samples.push({ at, total })
    // One that is older than the window stays: the rate begins there.
    while (this.#samples.length > 2 && at - (this.#samples[1] as { at: number }).at >= windowMs) this.#samples.shift()
  }

  /** Per second; undefined before half a second was seen. */
  perSecond(at: number): number | undefined {
    const [first] = this.#samples
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || at - first.at < 500) return undefined
    return ((last.total - first.total) / (at - first.at)) * 1_000
  }
}
