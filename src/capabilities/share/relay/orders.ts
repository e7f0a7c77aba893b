/** What the scheduler decides for members in one turn is said to each in one message. */

import type { Member } from "./member.ts"

interface Batch {
  takes: [number, string][]
  drops: number[]
}

export class Orders {
  readonly #version: () => number | undefined
  readonly #batches: Map<Member, Batch> = new Map()

  /** `version` is that of the present edition. */
  constructor(version: () => number | undefined) {
    this.#version = version
  }

  take(member: Member, chunk: number, giver: Member): void {
    member.takes.set(chunk, giver)
    this.#of(member).takes.push([chunk, giver.id])
  }

  drop(member: Member, chunk: number): void {
    member.takes.delete(chunk)
    const batch = this.#of(member)
    const before = batch.takes.length
    batch.takes = batch.takes.filter(([taken]) => taken !== chunk)
    // What it was not told to take it need not drop.
    if (batch.takes.length === before) batch.drops.push(chunk)
  }

  /** Another version: what was decided means other chunks now. */
  clear(): void {
    this.#batches.clear()
  }

  #of(member: Member): Batch {
    const known = this.#batches.get(member)
    if (known !== undefined) return known
    if (this.#batches.size === 0) queueMicrotask(() => this.#flush())
    const batch = { takes: [], drops: [] }
    this.#batches.set(member, batch)
    return batch
  }

  #flush(): void {
    const version = this.#version()
    for (const [{ outbox }, { takes, drops }] of this.#batches) {
      if (outbox === undefined || version === undefined) continue
      for (let at = 0; at < drops.length; at += mostNamed)
        outbox.say({ do: "drop", version, chunks: drops.slice(at, at + mostNamed) })
      for (let at = 0; at < takes.length; at += mostNamed)
        outbox.say({ do: "take", version, chunks: takes.slice(at, at + mostNamed) })
    }
    this.#batches.clear()
  }
}

/** Chunks in one message. */
const mostNamed = 1_000
