/** Who listens to a cast, from what they say: how far behind, how much lost, done or not. Bounded in number. */

import { hereComplete, hereConfirmed, mostHeard } from "./cast-packet.ts"
import type { Here } from "./cast-packet.ts"
import type { ReceiverState } from "./cast-rate.ts"

const mostReceivers = 4096
/** Beacons that name a receiver after each report in which it does not know yet that it was heard. */
const namedTimes = 3
/** Fewer packets say nothing about a share. */
const leastSample = 20
const leastSampleMs = 40
const hopelessLoss = 0.25
/** Of all together; who comes too late for that wants everything. */
const mostHaveBytes = 32 * 1024 * 1024

export interface Listening extends ReceiverState {
  /** Which interface hears it. */
  readonly road: number
  heardAt: number
  complete: boolean
  /** What it has of the pass, as far as it has said: a bit for each chunk. */
  have: Uint8Array | undefined
  named: number
  sampleHighest: number
  sampleReceived: number
  sampleAt: number
}

export class CastReceivers {
  readonly #all = new Map<number, Listening>()
  #haveBytes = 0
  /** How many lose very much. */
  #lossy = 0

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
        pace: 0,
        sampleAt: now,
        have: undefined,
        named: namedTimes,
        sampleHighest: highest,
        sampleReceived: received,
        lagMs: 0,
        loss: 0,
      }
      this.#all.set(receiver, known)
    }
    if (known.loss > hopelessLoss) this.#lossy--
    known.heardAt = now
    known.highest = Math.max(known.highest, highest)
    known.lagMs = lagMs
    known.complete = (flags & hereComplete) !== 0
    if ((flags & hereConfirmed) === 0) known.named = namedTimes
    const sent = highest - known.sampleHighest
    const elapsed = now - known.sampleAt
    if (sent >= leastSample && elapsed >= leastSampleMs) {
      const share = Math.max(0, 1 - (received - known.sampleReceived) / sent)
      known.loss += (share - known.loss) * 0.4
      known.pace = sent / elapsed
      known.sampleHighest = highest
      known.sampleReceived = received
      known.sampleAt = now
    }
    if (known.loss > hopelessLoss) this.#lossy++
    return known
  }

  /** A pass begins: nobody has said anything of it. */
  begin(): void {
    for (const known of this.#all.values()) {
      known.complete = false
      known.have = undefined
    }
    this.#haveBytes = 0
  }

  has(known: Listening, first: number, bits: Uint8Array): void {
    const at = first >> 3
    const before = known.have ?? new Uint8Array(0)
    const grown = Math.max(before.length, at + bits.length) - before.length
    if (this.#haveBytes + grown > mostHaveBytes) return
    if (grown > 0) {
      known.have = new Uint8Array(before.length + grown)
      known.have.set(before)
      this.#haveBytes += grown
    }
    for (const [index, byte] of bits.entries()) {
      const have = known.have as Uint8Array
      have[at + index] = (have[at + index] as number) | byte
    }
  }

  /** False when all that follow have it, or it lacks to one alone of three and more: that one gets it otherwise. */
  isWanted(chunk: number): boolean {
    let followers = 0
    let wanting = 0
    for (const known of this.#all.values()) {
      if (this.isHopeless(known)) continue
      const { have } = known
      followers++
      if ((((have?.[chunk >> 3] ?? 0) >> (chunk & 7)) & 1) === 0) wanting++
    }
    return wanting > (followers > 2 ? 1 : 0)
  }

  get(receiver: number): Listening | undefined {
    return this.#all.get(receiver)
  }

  /** It loses so much more than others that it is left to the normal way. What many lose is the pace's fault. */
  isHopeless({ loss }: Listening): boolean {
    return loss > hopelessLoss && this.#lossy <= this.#all.size / 4
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
    for (const [receiver, { heardAt, loss }] of this.#all) {
      if (heardAt >= before) continue
      this.#all.delete(receiver)
      if (loss > hopelessLoss) this.#lossy--
    }
  }
}
