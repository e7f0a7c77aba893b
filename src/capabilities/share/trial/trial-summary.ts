/** What a trial comes to: times, costs, bytes by where they went, and what would have been possible. */

import type { ByteWays } from "../protocol/control.ts"

export interface Cost {
  readonly cpuSeconds: number
  readonly peakBytes: number
}

export interface TrialSummary {
  readonly clients: number
  readonly processes: number
  readonly bytes: number
  /** From the word to go until the last one had verified and stored everything, s. */
  readonly seconds: number
  /** From starting the receivers' processes until all of them were ready, before the word to go, s. */
  readonly startSeconds: number
  readonly times: { readonly min: number; readonly median: number; readonly p95: number; readonly max: number }
  /** What the links would allow, s; undefined without limits. */
  readonly bound: number | undefined
  readonly relay: Cost & {
    readonly inBytes: number
    readonly outBytes: number
    /** Multiples of the content. */
    readonly inCopies: number
    readonly outCopies: number
    /** Per GB (10⁹ bytes) that the relay has sent. */
    readonly cpuSecondsPerGb: number | undefined
  }
  readonly sender: Cost
  /** With hosts of a network: what the sender's card sent, all protocols, as multiples of the content. */
  readonly senderLinkCopies?: number
  /** All processes together. */
  readonly receivers: Cost
  readonly via: ByteWays
  readonly failed: readonly { readonly client: string; readonly reason: string }[]
}

/** Seconds; `times` has at least one. */
export function spread(times: readonly number[]): TrialSummary["times"] {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0
  return { min: sorted[0] ?? 0, median: at(0.5), p95: at(0.95), max: sorted.at(-1) ?? 0 }
}

export interface LinkLimits {
  /** bytes/s. */
  readonly senderUp?: number | undefined
  readonly receiverUp?: number | undefined
  readonly receiverDown?: number | undefined
  /** Undefined: it has no limit, so it counts as an uplink without bound; 0: it carries nothing. */
  readonly relayUp?: number | undefined
}

/**
 * The least time in which it can be done, s: max(F/u_s, F/d_min, N·F/(u_s + u_r + Σu_i)) (Kumar and Ross 2006, with the relay
 * as one more uplink).
 */
export function leastTime(bytes: number, clients: number, limits: LinkLimits): number | undefined {
  const { senderUp, receiverUp, receiverDown, relayUp } = limits
  const bounds: number[] = []
  if (senderUp !== undefined) bounds.push(bytes / senderUp)
  if (receiverDown !== undefined) bounds.push(bytes / receiverDown)
  if (senderUp !== undefined && receiverUp !== undefined && relayUp !== undefined)
    bounds.push((clients * bytes) / (senderUp + relayUp + clients * receiverUp))
  return bounds.length === 0 ? undefined : Math.max(...bounds)
}
