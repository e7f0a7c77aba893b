/**
 * Who sends next. Streams that were idle come first for one quantum, so that heads and short answers never wait behind
 * bulk; whoever uses its quantum up joins the round of the bulk streams (the two lists of fq_codel, RFC 8290 section 4).
 */

import { Fifo } from "../base/fifo.ts"

/** What the scheduler keeps with each stream; the stream owns the object. */
export interface Turn {
  /** Which list it is in. */
  place: "none" | "fresh" | "round"
  /** Bytes it may still send in its present turn. */
  deficit: number
}

export interface Scheduled {
  readonly turn: Turn
}

/** Quanta of fresh streams before the round has a turn again: endless short answers leave bulk a sixth. */
const freshShare = 4

export class Scheduler<T extends Scheduled> {
  readonly #quantum: number
  readonly #fresh: Fifo<T> = new Fifo<T>()
  readonly #round: Fifo<T> = new Fifo<T>()
  /** Bytes of fresh streams since the round last had a turn. */
  #freshBytes = 0

  constructor(quantumBytes: number) {
    this.#quantum = quantumBytes
  }

  /** Streams in both lists. One that ended meanwhile stays until its turn. */
  get length(): number {
    return this.#fresh.length + this.#round.length
  }

  get empty(): boolean {
    return this.#fresh.length === 0 && this.#round.length === 0
  }

  /** A stream has something to send. */
  ready(stream: T): void {
    if (stream.turn.place !== "none") return
    stream.turn.place = "fresh"
    stream.turn.deficit = this.#quantum
    this.#fresh.push(stream)
  }

  /** Whose turn it is; the stream leaves its list until `done`. */
  next(): T | undefined {
    if (this.#round.length > 0 && this.#freshBytes >= freshShare * this.#quantum) {
      this.#freshBytes = 0
      return this.#round.shift()
    }
    return this.#fresh.shift() ?? this.#round.shift()
  }

  /** Takes those out that do not have to be kept. */
  sweep(keep: (stream: T) => boolean): void {
    for (const list of [this.#fresh, this.#round]) {
      for (let left = list.length; left > 0; left--) {
        const stream = list.shift() as T
        if (keep(stream)) list.push(stream)
        else stream.turn.place = "none"
      }
    }
  }

  /** The stream sent `bytes`; `more` says whether it has more to send now. */
  done(stream: T, bytes: number, more: boolean): void {
    const turn = stream.turn
    turn.deficit -= bytes
    if (turn.place === "fresh") this.#freshBytes += bytes
    else this.#freshBytes = 0
    if (!more) {
      // A fresh stream that runs dry passes through the round once, or it could starve bulk by coming back.
      if (turn.place === "fresh" && turn.deficit <= 0 && this.#round.length > 0) {
        turn.place = "round"
        turn.deficit += this.#quantum
        this.#round.push(stream)
      } else turn.place = "none"
      return
    }
    if (turn.place === "fresh" && turn.deficit > 0) {
      this.#fresh.push(stream)
      return
    }
    if (turn.deficit <= 0) turn.deficit += this.#quantum
    turn.place = "round"
    this.#round.push(stream)
  }
}
