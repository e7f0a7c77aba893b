/** How many there are of something that may be limited: connections of an app, of a target, of all. */

/** Kept by one event loop alone, or by several together: then `take` never lets one more in than the limit says. */
export interface Seats {
  /** One more, unless there are as many as the limit says; undefined is no limit. */
  take(limit: number | undefined): boolean
  /** One less, of those that were taken here. */
  give(): void
  /** In all loops. */
  readonly taken: number
}

export class OwnSeats implements Seats {
  taken = 0

  take(limit: number | undefined): boolean {
    if (limit !== undefined && this.taken >= limit) return false
    this.taken++
    return true
  }

  give(): void {
    this.taken--
  }
}
