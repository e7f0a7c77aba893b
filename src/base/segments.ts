/**
 * Memory for bytes that wait for an acknowledgement: equal pieces that are used again and again. Fresh memory costs more
 * than the bytes that are put into it (docs/decisions/0004-segments.md), so what is given back is kept, up to a bound.
 */

export interface SegmentPool {
  take(): Uint8Array
  /** Nobody may look at the segment any more. */
  give(segment: Uint8Array): void
}

/** Two of the largest frames. */
export const segmentBytes: number = 128 * 1024

/** A pool that keeps up to `spares` segments for the next taker. */
export function segmentPool(spares: number): SegmentPool {
  const kept: Uint8Array[] = []
  return {
    take: () => kept.pop() ?? new Uint8Array(segmentBytes),
    give(segment) {
      if (kept.length < spares) kept.push(segment)
    },
  }
}
