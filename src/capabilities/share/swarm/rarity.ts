/** Chunks by how many have them or are about to: the rarest first, and among equals the one that changed longest ago. */

export class Rarity {
  readonly #levels: Set<number>[] = Array.from({ length: levelCount }, () => new Set())
  /** Copies and those under way, per chunk. */
  readonly #counts: Uint16Array

  constructor(chunks: number) {
    this.#counts = new Uint16Array(chunks)
    const level = this.#levels[0] as Set<number>
    for (let chunk = 0; chunk < chunks; chunk++) level.add(chunk)
  }

  change(chunk: number, by: 1 | -1): void {
    const before = this.#counts[chunk] as number
    const after = Math.min(65_535, Math.max(0, before + by))
    this.#counts[chunk] = after
    const from = Math.min(before, levelCount - 1)
    const to = Math.min(after, levelCount - 1)
    if (from === to) return
    this.#levels[from]?.delete(chunk)
    this.#levels[to]?.add(chunk)
  }

  count(chunk: number): number {
    return this.#counts[chunk] as number
  }

  *[Symbol.iterator](): Iterator<number> {
    for (const level of this.#levels) yield* level
  }

  /** The first that fits, rarest first; undefined when none of the first `most` looked at does. */
  find(fits: (chunk: number) => boolean, most: number): number | undefined {
    let left = most
    for (const level of this.#levels) {
      for (const chunk of level) {
        if (fits(chunk)) return chunk
        if (--left === 0) return undefined
      }
    }
    return undefined
  }
}

/** Those who have more copies than this are all the same: nobody waits for them. */
const levelCount = 16
