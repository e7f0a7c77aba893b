/**
 * Numbers of streams: odd ones are the dialer's, even ones the acceptor's, each side counts upwards and starts over after
 * 2^31 of its own. Numbers of live streams are skipped then.
 */

export class StreamIds {
  readonly #first: 1 | 2
  #last: number
  #wrapped = false
  #peerHighest = 0

  /** `last` is the number that was given last, of the same parity. */
  constructor(first: 1 | 2, last: number = first - 2) {
    this.#first = first
    this.#last = last
  }

  next(taken: (id: number) => boolean): number {
    do {
      this.#last += 2
      if (this.#last > 0xffff_ffff) {
        this.#last = this.#first
        this.#wrapped = true
      }
    } while (this.#wrapped && taken(this.#last))
    return this.#last
  }

  isOurs(id: number): boolean {
    return (id & 1) === (this.#first & 1)
  }

  /** The peer opened this number. */
  seen(id: number): void {
    if (id > this.#peerHighest) this.#peerHighest = id
  }

  /** False when nobody ever opened it: a frame that names it is a lie. */
  wasUsed(id: number): boolean {
    if (!this.isOurs(id)) return id <= this.#peerHighest
    return this.#wrapped || id <= this.#last
  }
}
