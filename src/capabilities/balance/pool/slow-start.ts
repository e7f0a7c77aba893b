/** A target that comes (back) has cold caches and few connections: it gets a small part first, and its full part in time. */

/** Nobody gets less than this part: without connections nothing warms up. */
const least = 0.1

/** The ramp has so many steps. */
const steps = 50

/** No step is shorter, ms. */
const shortestStepMs = 20

/** The part of its weight that counts now, above 0 up to 1. */
export function rampAt(usableSince: number, slowStartMs: number, now: number): number {
  if (usableSince === 0 || slowStartMs <= 0) return 1
  return Math.min(1, Math.max(least, (now - usableSince) / slowStartMs))
}

/** How long a computed ramp may be used before it is computed again. */
export function rampStepMs(slowStartMs: number): number {
  return Math.max(shortestStepMs, slowStartMs / steps)
}
