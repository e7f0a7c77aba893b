/** Chunks in memory: what a receiver has before its target is open, and whole swarms in tests. Its owner bounds it. */

import { RdvError } from "../../../base/error.ts"
import { Bitmap } from "../content/bitmap.ts"
import type { Holdings } from "./holdings.ts"

export class MemoryHoldings implements Holdings {
  readonly have: Bitmap
  readonly #chunks = new Map<number, Uint8Array>()
  #bytes = 0

  /** `count` chunks are in the table. */
  constructor(count: number) {
    this.have = new Bitmap(count)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The numbers of those that are here. */
  chunks(): number[] {
    return [...this.#chunks.keys()]
  }

  read(chunk: number): Uint8Array {
    const sealed = this.#chunks.get(chunk)
    if (sealed === undefined) throw new RdvError("not_found", `Chunk ${chunk} is not here`)
    return sealed
  }

  store(chunk: number, sealed: Uint8Array): void {
    if (!this.have.add(chunk)) return
    this.#chunks.set(chunk, sealed.slice())
    this.#bytes += sealed.length
  }
}
