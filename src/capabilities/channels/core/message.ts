/** A message in a channel's care: from the offer to the proof it is in exactly one place, a line or a receiver's hands. */

import type { RdvError } from "../../../base/error.ts"
import type { Line, Member } from "./line.ts"
import type { Choice, Delivery, Grade, Receiving, Sending } from "./parties.ts"

export class Message implements Member<Message> {
  previous: Message | undefined
  next: Message | undefined
  line: Line<Message> | undefined
  readonly id: number
  readonly bytes: Uint8Array
  /** When it came in; a clock's time. */
  readonly since: number
  /** How often it was given to a receiver. */
  attempts = 0
  /** How often of these it came back without anybody having looked at it. */
  spared = 0
  /** It has a place in the buffer: its sender was told, and is no party any more. */
  accepted = false
  /** Its sender has gone without an answer: when it comes back from a receiver, it is dropped. */
  isAbandoned = false
  /** Runs when the sender is no party any more. */
  onSettled: (() => void) | undefined
  #sending: Sending | undefined

  constructor(id: number, sending: Sending, since: number) {
    this.id = id
    this.bytes = sending.bytes
    this.since = since
    this.#sending = sending
  }

  /** The sender still waits to hear of it. */
  get isOwed(): boolean {
    return this.#sending !== undefined
  }

  get choice(): Choice | undefined {
    return this.#sending?.choice
  }

  /** A case of a select whose other case was chosen. */
  get isPassedOver(): boolean {
    return this.attempts === 0 && this.#sending?.choice?.taken === true
  }

  /** It is bound: to a receiver or to a place in the buffer. */
  match(): void {
    const sending = this.#sending
    if (sending === undefined) return
    if (sending.choice !== undefined) sending.choice.taken = true
    sending.matched?.()
  }

  /** It waits again. */
  unmatch(): void {
    this.#sending?.returned?.()
  }

  settle(error: RdvError | undefined): void {
    const sending = this.#sending
    if (sending === undefined) return
    this.#sending = undefined
    this.onSettled?.()
    sending.settled(error)
  }

  /** The sender has been told elsewhere, or there is none: nobody hears of it any more, and it stays. */
  disown(): void {
    this.#sending = undefined
  }
}

/** Someone who waits for a message. */
export class Waiter implements Member<Waiter> {
  previous: Waiter | undefined
  next: Waiter | undefined
  line: Line<Waiter> | undefined
  readonly receiving: Receiving
  readonly holder: Holder
  readonly since: number

  constructor(receiving: Receiving, holder: Holder, since: number) {
    this.receiving = receiving
    this.holder = holder
    this.since = since
  }

  get isPassedOver(): boolean {
    return this.receiving.choice?.taken === true
  }
}

/** Whose hands a message is in: it hears when they are empty again. */
export interface Holder {
  hold(parcel: Parcel): void
  release(parcel: Parcel): void
  /** It was matched, or refused. */
  unwait(receiving: Receiving): void
}

/** Who decides what becomes of a message after its receiver spoke. */
export interface Ledger {
  proven(parcel: Parcel): void
  returned(parcel: Parcel, reason: string, vanished: boolean): void
}

/** One attempt to deliver a message. */
export class Parcel implements Delivery {
  readonly message: Message
  readonly attempt: number
  readonly grade: Grade
  readonly holder: Holder
  /** Ends the lease's timer. */
  endLease: (() => void) | undefined
  readonly #ledger: Ledger
  #isOpen = true

  constructor(ledger: Ledger, holder: Holder, message: Message, attempt: number, grade: Grade) {
    this.#ledger = ledger
    this.holder = holder
    this.message = message
    this.attempt = attempt
    this.grade = grade
  }

  /** Its receiver has not spoken yet. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  get bytes(): Uint8Array {
    return this.message.bytes
  }

  get id(): number {
    return this.message.id
  }

  seen(): void {
    if (this.grade !== "done") this.done()
  }

  done(): void {
    if (!this.#close()) return
    this.#ledger.proven(this)
  }

  giveBack(reason: string): void {
    if (this.#close()) this.#ledger.returned(this, reason, false)
  }

  putBack(reason: string): void {
    if (!this.#close()) return
    this.message.spared++
    this.#ledger.returned(this, reason, false)
  }

  /** Its receiver is gone. */
  vanish(reason: string): void {
    if (this.#close()) this.#ledger.returned(this, reason, true)
  }

  #close(): boolean {
    if (!this.#isOpen) return false
    this.#isOpen = false
    this.endLease?.()
    this.holder.release(this)
    return true
  }
}

/** Takes the messages out whose senders wait. All of them at once: who hears of it may do anything. */
export function takeOwed(line: Line<Message>): Message[] {
  const owed: Message[] = []
  for (let message = line.first; message !== undefined; message = message.next) if (message.isOwed) owed.push(message)
  for (const message of owed) line.remove(message)
  return owed
}
