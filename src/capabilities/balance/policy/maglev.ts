/**
 * Maglev's lookup table (Eisenbud et al., NSDI 2016): a slot per hash, each target with its part of the slots. Every target
 * has its own order of preference over the slots, and they choose in turns. When a target comes or leaves and the table is
 * made anew, nearly all slots stay what they were. Weights as in Envoy: who has half the weight chooses every other turn.
 */

import { hashText } from "./hashing.ts"

/** Primes: then every step leads through all slots. The larger one for pools in which 65,537 slots would be too coarse. */
const smallSize = 65_537
const largeSize = 655_373
const manyTargets = 650

export interface MaglevEntry {
  /** What the preferences come from; unique. */
  readonly name: string
  /** Above 0. */
  readonly weight: number
}

const empty = 0xffff

/** Index into `entries` per slot. It depends on names and weights alone, not on the order of the entries. */
export function maglevTable(entries: readonly MaglevEntry[]): Uint16Array {
  const size = entries.length > manyTargets ? largeSize : smallSize
  const table = new Uint16Array(entries.length === 0 ? 0 : size)
  // Turns go by name, so that balancers with the same targets in another order agree.
  const order = entries
    .map(({ name, weight }, index) => ({ name, weight, index }))
    .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  const heaviest = order.reduce((most, { weight }) => Math.max(most, weight), 0)
  const next = Uint32Array.from(order, ({ name }) => hashText(name, offsetSeed) % size)
  const skip = Uint32Array.from(order, ({ name }) => (hashText(name, skipSeed) % (size - 1)) + 1)
  const credit = new Float64Array(order.length)
  table.fill(empty)
  for (let filled = 0; filled < table.length;) {
    for (const [at, { weight, index }] of order.entries()) {
      const due = (credit[at] as number) + weight / heaviest
      // A hair below 1 is 1: the parts need not add up exactly.
      if (due < 1 - 1e-9) {
        credit[at] = due
        continue
      }
      credit[at] = due - 1
      let slot = next[at] as number
      while (table[slot] !== empty) slot = (slot + (skip[at] as number)) % size
      table[slot] = index
      next[at] = (slot + (skip[at] as number)) % size
      if (++filled === table.length) break
    }
  }
  return table
}

const offsetSeed = 0x6f66_6673
const skipSeed = 0x736b_6970
