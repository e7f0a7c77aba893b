/**
 * Memory of a transport that streams still look into: it goes back when the last of them has consumed its bytes. Who never
 * says so, because it ended in between, costs a buffer that the collector takes, and nothing else.
 */

export class Lease {
  readonly #free: () => void
  #holders = 0
  #sealed = false

  /** `free` is called once, when nobody holds the memory any more and nobody can come to. */
  constructor(free: () => void) {
    this.#free = free
  }

  hold(): void {
    this.#holders++
  }

  drop(): void {
    this.#holders--
    if (this.#holders === 0 && this.#sealed) this.#free()
  }

  /** No further holders come. True when somebody holds the memory now; else it was never lent. */
  seal(): boolean {
    this.#sealed = true
    return this.#holders > 0
  }
}
