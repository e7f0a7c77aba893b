/** Which packets have come: each counts once, and each that asks for it is acknowledged, soon and with few others. */

import { mostAckDelayMs } from "./datagram-flight.ts"
import type { PacketWriter } from "./datagram-packet.ts"
import { Ranges } from "./datagram-ranges.ts"

/** Acknowledged after so many, if not sooner. */
const ackEvery = 16
/** Packets from before these ranges count as known: they are refused. */
const mostRanges = 128

export class Receipts {
  readonly #received = new Ranges()
  #floor = 0
  #highest = -1
  #newestAt = 0
  /** The highest before the newest one came. */
  #before = -1
  #owed = 0
  #dueAt = Infinity

  /** When an acknowledgement must go; Infinity: none is owed. */
  get dueAt(): number {
    return this.#dueAt
  }

  /** False when it was here before, or is too old to tell. */
  take(number: number, now: number): boolean {
    if (number < this.#floor || this.#received.has(number)) return false
    this.#received.add(number, number + 1)
    while (this.#received.count > mostRanges) {
      this.#floor = this.#received.to(0)
      this.#received.dropFirst()
    }
    this.#before = this.#highest
    if (number > this.#highest) {
      this.#highest = number
      this.#newestAt = now
    }
    return true
  }

  /** The packet that was taken last wants to be acknowledged. */
  owe(number: number, atOnce: boolean, now: number): void {
    this.#owed++
    // RFC 9000 section 13.2.1: a gap is told at once.
    const isGap = number !== this.#before + 1
    if (atOnce || isGap || this.#owed >= ackEvery) this.#dueAt = now
    else if (this.#dueAt === Infinity) this.#dueAt = now + mostAckDelayMs
  }

  /** Into a packet that goes out, if anything is owed. */
  write(writer: PacketWriter, now: number): void {
    if (this.#owed === 0) return
    writer.ack(this.#received, now - this.#newestAt)
    this.#owed = 0
    this.#dueAt = Infinity
  }
}
