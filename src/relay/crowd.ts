/**
 * Strangers that have not said yet who they are. Whoever means to speak does so at once, so of a crowd the one that has
 * waited longest goes: those who only wait cannot keep the others out.
 */

/** Before one more is added to `crowd`, which is in the order of arrival: turns the oldest away until there is room. */
export function makeRoom<T>(crowd: Set<T>, most: number, turnAway: (oldest: T) => void): void {
  for (const oldest of crowd) {
    if (crowd.size < most) return
    crowd.delete(oldest)
    turnAway(oldest)
  }
}
