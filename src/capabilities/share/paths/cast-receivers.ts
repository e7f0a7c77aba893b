/** Who listens to a cast, from what they say: how far behind, how much lost, done or not. Bounded in number. */

import { hereComplete, hereConfirmed, mostHeard } from "./cast-packet.ts"
import type { Here } from "./cast-packet.ts"
import type { ReceiverState } from "./cast-rate.ts"

const mostReceivers = 4096
/** Beacons that name a receiver after each report in which it does not know yet that it was heard. */
const namedTimes = 3
/** Fewer packets say nothing about a share. */
const leastSample = 20
const hopelessLoss = 0.25

export interface Listening extends ReceiverState {
  /** Which interface hears it. */
  readonly road: number
  heardAt: number
  /** The newest packet that it has seen. */
  highest: number
  complete: boolean
  /** It loses so much that it is left to the normal way. */
  hopeless: boolean
  named: number
  sampleHighest: number
  sampleReceived: number
}

export class CastReceivers {
  readonly #all = new Map<number, Listening>()

  get count(): number {
    return this.#all.size
  }

  all(): Listening[] {
    return [...this.#all.values()]
  }

  /** `lagMs`: since the first packet that it had not seen was sent. Undefined: there are too many. */
  heard({ receiver, highest, flags, received }: Here, road: number, lagMs: number, now: number): Listening | undefined {
    let known = this.#all.get(receiver)
    if (known === undefined) {
      if (this.#all.size >= mostReceivers) return undefined
      known = {
        road,
        heardAt: now,
        highest,
        complete: false,
        hopeless: false,
        named: namedTimes,
        sampleHighest: highest,
        sampleReceived: received,
        lagMs: 0,
        loss: 0,
      }
      this.#all.set(receiver, known)
    }
    known.heardAt = now
    known.highest = Math.max(known.highest, highest)
    known.lagMs = lagMs
    known.complete = (flags & hereComplete) !== 0
    if ((flags & hereConfirmed) === 0) known.named = namedTimes
    const sent = highest - known.sampleHighest
    if (sent >= leastSample) {
      const share = Math.max(0, 1 - (received - known.sampleReceived) / sent)
      known.loss += (share - known.loss) * 0.4
      known.hopeless = known.loss > hopelessLoss
      known.sampleHighest = highest
      known.sampleReceived = received
    }
    return known
  }

  get(receiver: number): Listening | undefined {
    return this.#all.get(receiver)
  }

  /** Those that the next beacon names. */
  toName(): number[] {
    const names: number[] = []
    for (const [receiver, known] of this.#all) {
      if (known.named === 0) continue
      known.named--
      if (names.push(receiver) === mostHeard) break
    }
    return names
  }

  /** Forgets who has not been heard for so long. */
  forget(before: number): void {
    for (const [receiver, { heardAt }] of this.#all) if (heardAt < before) this.#all.delete(receiver)
  }
}
