/**
 * What a relay remembers of swarms, so that one that starts anew knows them again: who may come in and what the chunks are.
 * What members have is not kept; they say it when they are back.
 */

import { RdvError } from "../../../base/error.ts"
import type { TableFacts } from "../protocol/control.ts"

export interface Publication {
  /** Six digits. */
  readonly swarm: string
  /** Whose token published it. */
  readonly owner: string
  /** SHA-256 of `SwarmKeys.access`. */
  readonly access: Uint8Array
  /** SHA-256 of the publisher's secret. */
  readonly publisher: Uint8Array
  /** ms since 1970 UTC. */
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly once: boolean
  readonly maxPeers: number | null
  readonly cache: boolean
  /** Nobody new comes in. */
  readonly isClosed: boolean
  /** The newest version. */
  readonly table: TableFacts
}

/** Calls are synchronous and rare: a swarm begins, changes, ends. All throw `RdvError` with one line. */
export interface PublicationStore {
  list(): Publication[]
  /** The encoded table. Throws `not_found`. */
  table(swarm: string): Uint8Array
  /** `table` comes with a new version; without it the stored one stays. Throws `limit` when there is no room. */
  save(publication: Publication, table?: Uint8Array): void
  remove(swarm: string): void
  /** A receiver is through: it takes one of the places of a share that is for so many, for good. */
  finish(swarm: string, member: string): void
  finished(swarm: string): string[]
}

/** For relays without a store, and tests. */
export class MemoryPublications implements PublicationStore {
  readonly #all: Map<string, { readonly publication: Publication; readonly table: Uint8Array }> = new Map()
  readonly #finished: Map<string, Set<string>> = new Map()

  list(): Publication[] {
    return [...this.#all.values()].map(({ publication }) => publication)
  }

  table(swarm: string): Uint8Array {
    const found = this.#all.get(swarm)
    if (found === undefined) throw new RdvError("not_found", `There is no table of share ${swarm}`)
    return found.table
  }

  save(publication: Publication, table: Uint8Array = this.table(publication.swarm)): void {
    this.#all.set(publication.swarm, { publication, table })
  }

  remove(swarm: string): void {
    this.#all.delete(swarm)
    this.#finished.delete(swarm)
  }

  finish(swarm: string, member: string): void {
    const known = this.#finished.get(swarm)
    if (known === undefined) this.#finished.set(swarm, new Set([member]))
    else known.add(member)
  }

  finished(swarm: string): string[] {
    return [...(this.#finished.get(swarm) ?? [])]
  }
}
