/** Chunks that nobody has, in few words. */

export interface MissingRanges {
  /** First and last, at most `mostRanges`. */
  readonly ranges: readonly (readonly [number, number])[]
  /** Chunks beyond them. */
  readonly more: number
  /** All of them. */
  readonly count: number
}

export function missingRanges(chunks: number, isMissing: (chunk: number) => boolean): MissingRanges {
  const ranges: [number, number][] = []
  let more = 0
  let count = 0
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (!isMissing(chunk)) continue
    count++
    const last = ranges.at(-1)
    if (last !== undefined && last[1] === chunk - 1) last[1] = chunk
    else if (ranges.length < mostRanges) ranges.push([chunk, chunk])
    else more++
  }
  return { ranges, more, count }
}

const mostRanges = 32
