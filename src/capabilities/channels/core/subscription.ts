/** What a multicast channel keeps of each message that it sent out, and of each of its readers. */

import { Fifo } from "../../../base/fifo.ts"
import { Line } from "./line.ts"
import type { Crowd } from "./line.ts"
import type { Message, Parcel, Waiter } from "./message.ts"
import type { Reader } from "./reader.ts"

/** A message that was sent out. Its bytes count until it is neither out, nor retained, nor owed by anybody. */
export class Edition {
  readonly message: Message
  /** Those who have not proved yet that they have it: it is in their inbox or in their hands. */
  readonly owedBy: Set<Subscription> = new Set()
  /** It takes up room, and its sender may wait. */
  isOut = true
  /** It is among the last messages, which new readers get first. */
  isRetained = false
  /** Somebody has it for certain. */
  isProven = false
  /** The channel was removed before everybody got it. */
  isCutShort = false

  constructor(message: Message) {
    this.message = message
  }
}

/** A reader's place. */
export class Subscription {
  readonly reader: Reader
  /** Given out to it and not taken, oldest first. */
  readonly inbox: Fifo<Edition> = new Fifo()
  inboxBytes = 0
  readonly waiters: Line<Waiter>
  /** In its hands. */
  readonly held: Map<Parcel, Edition> = new Map()
  /** How often it gave back what it is owed. */
  readonly refusals: Map<Edition, number> = new Map()
  /** It stands in the line of those who can be served. */
  isDue = false

  constructor(reader: Reader, crowd: Crowd) {
    this.reader = reader
    this.waiters = new Line(crowd)
  }
}
