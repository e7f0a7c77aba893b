/**
 * The two sides of a channel, as the channel sees them: something that wants to send one message, and something that wants
 * one. Doors (files, streams) make them; the channel brings them together. Everything is synchronous and calls back: the
 * hot path has no promise.
 *
 *     Sending  ── offered ──▶ waiting ─▶ [buffer] ─▶ under way to a receiver ─▶ proven
 *                                 ▲                          │ receiver gone, refused, lease over
 *                                 └──────── head of line ◀───┘
 *
 * A message belongs to the channel from the offer to its proof. It is never dropped: it is proven, or it goes back to the
 * head of the line, or its sender is told why not.
 */

import type { RdvError } from "../../../base/error.ts"

/**
 * When a sender is told that its message has arrived. `matched`: a receiver was given it. `seen`: the receiver's kernel or
 * client has it. `done`: the receiver said that it is done with it.
 */
export type Grade = "matched" | "seen" | "done"

/** Several parties of one select share it: the first one that is matched takes the choice, the others are passed over. */
export interface Choice {
  taken: boolean
}

export interface Sending {
  /** Never changed afterwards: the channel keeps the reference until the proof. */
  readonly bytes: Uint8Array
  readonly choice?: Choice | undefined
  /** Hears, before `settled`, that a receiver was found or that there was room: it cannot be withdrawn now. */
  matched?(): void
  /** Hears that nobody has it any more: it waits again, and can be withdrawn, also within this call. `matched` may follow. */
  returned?(): void
  /**
   * Called once: without an error when the message has reached the channel's grade, or is in its buffer. With one when it
   * will never be delivered: `removed`, `closed`, `limit`, `too_large`.
   */
  settled(error: RdvError | undefined): void
}

export interface Receiving {
  readonly choice?: Choice | undefined
  /** Called at most once. The receiver owes the delivery `seen` or `done`, or `giveBack`, or its reader leaves. */
  take(delivery: Delivery): void
  /** Called at most once, instead of `take`: `closed` (end of stream, nothing is left), `removed`. */
  failed(error: RdvError): void
}

/** A message in a receiver's hands. What is called behind the first proof is ignored. */
export interface Delivery {
  readonly bytes: Uint8Array
  /** Unique within the channel. Grows in the order in which messages came in. */
  readonly id: number
  /** 1 at first; higher after it was given back. */
  readonly attempt: number
  /** The receiver's side has it: proof for the grades up to `seen`. */
  seen(): void
  /** The receiver is done with it: proof for all grades. */
  done(): void
  /** The receiver does not want it or has failed on it: back to the head of the line, or to the dead-letter channel. */
  giveBack(reason: string): void
  /** Nobody has looked at it: back to the head of the line, and it does not count among the channel's `attempts`. */
  putBack(reason: string): void
}
