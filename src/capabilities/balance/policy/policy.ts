/**
 * What all ways to choose have in common. A policy chooses among the members of one group of targets that are equally
 * welcome; which group that is, and who of it may be used at all, the pool has decided before.
 */

import type { Target } from "../target/target.ts"

export interface PolicyRequest {
  /** The client's address without its port, or whatever else shall stay at one target. */
  readonly client: string
  /** Those that have failed for this connection already: they are not chosen again. */
  readonly tried: ReadonlySet<Target>
}

/** A target in its group. The pool owns it and keeps it for as long as the target stays. */
export interface Member {
  readonly target: Target
  /** Its place in the file. */
  place: number
  /** Its part among the members at this moment, above 0: the configured weight, less during slow start. */
  weight: number
  /** How far slow start has got, above 0 up to 1. */
  ramp: number
  /** Orders and health let it have connections. It may be full nevertheless. */
  usable: boolean
  /** What smooth round robin owes it; other policies use it where they have to break ties. */
  turn: number
}

export interface Policy {
  /**
   * Who there is from now on; called again whenever one of them changed. `usable` is the part that may be chosen, `all`
   * has also those that are down or taken out for a while. Both are in the order of the file.
   */
  use(usable: readonly Member[], all: readonly Member[]): void
  /** One that is neither full nor tried; undefined when there is none. */
  pick(request: PolicyRequest): Member | undefined
  /** Whether the latest pick was not the target that the client would have if all were well. */
  readonly deflected?: boolean
  /** Policies that keep clients together keep them in one level, too: this client's lot, from 0 up to and without 1. */
  fraction?(client: string): number
}

export function isFree({ target }: Member, tried: ReadonlySet<Target>): boolean {
  return !target.isFull && !tried.has(target)
}

/** Its connections, those that are being dialled too. */
export function loadOf({ target }: Member): number {
  return target.active + target.pending
}

export function totalWeight(members: readonly Member[]): number {
  let total = 0
  for (const { weight } of members) total += weight
  return total
}

export function haveEqualWeights(members: readonly Member[]): boolean {
  const [first] = members
  return first === undefined || members.every(({ weight }) => weight === first.weight)
}
