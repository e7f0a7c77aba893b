/**
 * One channel: settings, counters, who has it open, and the discipline that brings both sides together. Synchronous: what
 * a call causes has happened when it returns.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Desk, Discipline } from "./discipline.ts"
import { Message } from "./message.ts"
import type { Parcel, Waiter } from "./message.ts"
import { Multicast } from "./multicast.ts"
import type { Sending } from "./parties.ts"
import { Rates } from "./rates.ts"
import { Reader } from "./reader.ts"
import { checkSettings } from "./settings.ts"
import type { ChannelSettings } from "./settings.ts"
import { Unicast } from "./unicast.ts"
import { Writer } from "./writer.ts"

/** Whose a channel or folder is; as in a file system. */
export interface Facts {
  owner: string
  uid: number
  gid: number
  /** 0o777 at most: read is receive, write is send. */
  permissions: number
}

/** What the space does for its channels. */
export interface ChannelHost {
  readonly clock: Clock
  /** Throws `limit` when the memory for messages is used up. */
  reserve(bytes: number): void
  free(bytes: number): void
  /** The channel of that path, for dead letters. */
  find(path: string): Channel | undefined
}

/** Counts since the channel was made, and what is there now. */
export interface ChannelStats {
  /** Messages taken from senders, and their bytes. */
  readonly received: number
  readonly bytesIn: number
  /** Messages proven, once for each reader of a multicast, and their bytes. */
  readonly delivered: number
  readonly bytesOut: number
  /** Given back, for another attempt. */
  readonly redelivered: number
  /** Gone to the dead-letter channel. */
  readonly buried: number
  /** Waits that ended by a deadline. */
  readonly expired: number
  /** Multicast readers that were too slow. */
  readonly cut: number
  readonly waitingSenders: number
  readonly waitingReceivers: number
  readonly buffered: number
  readonly bufferedBytes: number
  /** In receivers' hands without proof. */
  readonly underWay: number
  readonly readers: number
  readonly writers: number
  /** How long the oldest of those who wait has waited, ms. */
  readonly oldestMs: number
}

export class Channel implements Desk {
  readonly id: number
  readonly path: string
  readonly facts: Facts
  readonly rates: Rates = new Rates()
  readonly #host: ChannelHost
  readonly #readers: Set<Reader> = new Set()
  readonly #writers: Set<Writer> = new Set()
  #settings: ChannelSettings
  #discipline: Discipline
  #isClosed = false
  #removal: RdvError | undefined
  #nextMessage = 1
  #changedAt: number
  #received = 0
  #bytesIn = 0
  #delivered = 0
  #bytesOut = 0
  #redelivered = 0
  #buried = 0
  #expired = 0
  #cut = 0

  /** Made by `Space.create`. */
  constructor(id: number, path: string, facts: Facts, settings: ChannelSettings, host: ChannelHost) {
    this.id = id
    this.path = path
    this.facts = facts
    this.#host = host
    this.#settings = settings
    this.#discipline = settings.mode === "multicast" ? new Multicast(this) : new Unicast(this)
    this.#changedAt = host.clock.wall()
  }

  get settings(): ChannelSettings {
    return this.#settings
  }

  get closed(): boolean {
    return this.#isClosed || this.removed
  }

  get removed(): boolean {
    return this.#removal !== undefined
  }

  /** For disciplines: why nothing is given out any more. */
  get removal(): RdvError | undefined {
    return this.#removal
  }

  /** When a message came in last; ms since 1970. */
  get changedAt(): number {
    return this.#changedAt
  }

  /**
   * Holds from now on, also for those who wait. A smaller size drops nothing: it is reached as messages are taken. Throws
   * `usage`, and `in_use` for another mode while somebody has the channel open or messages are there.
   */
  configure(changes: Partial<ChannelSettings>): void {
    const next = { ...this.#settings, ...changes }
    checkSettings(next)
    if (next.mode !== this.#settings.mode) {
      if (this.#readers.size > 0 || !this.#discipline.isEmpty) {
        throw new RdvError("in_use", `The mode of ${this.path} cannot change while it is read or holds messages`)
      }
      // What a multicast retains.
      this.#discipline.clear(new RdvError("in_use", `${this.path} has another mode now`))
      this.#discipline = next.mode === "multicast" ? new Multicast(this) : new Unicast(this)
    }
    this.#settings = next
    this.#discipline.reconfigured()
  }

  /** Throws `removed` and `limit`. */
  reader(): Reader {
    this.#checkOpenable(this.#readers.size)
    const reader = new Reader(this)
    this.#readers.add(reader)
    this.#discipline.join(reader)
    return reader
  }

  /** Throws `removed` and `limit`. */
  writer(): Writer {
    this.#checkOpenable(this.#writers.size)
    const writer = new Writer(this)
    this.#writers.add(writer)
    return writer
  }

  /** A receiver that comes now would get a message, or the end, at once. A multicast answers for a reader. */
  canReceive(reader?: Reader): boolean {
    return this.removed || this.#isDrained() || this.#discipline.canReceive(reader)
  }

  /** The message that a receiver would get next; it stays. */
  head(): Uint8Array | undefined {
    return this.#discipline.head()?.bytes
  }

  /** Bytes of messages that this reader could get at once; of many only some are counted. */
  waitingBytes(reader: Reader): number {
    return this.#discipline.waitingBytes(reader, countedBytes)
  }

  /** Takes no more messages. Receivers get what is left, then the end. Senders that wait are refused. */
  close(): void {
    if (this.closed) return
    this.#isClosed = true
    this.#discipline.refuseSenders(new RdvError("closed", `${this.path} is closed`))
    this.drained()
  }

  /** By `Space.remove`: all who wait are told; messages that nobody holds are dropped, now or when they come back. */
  remove(): void {
    this.#removal = new RdvError("removed", `${this.path} was removed`)
    this.#discipline.clear(this.#removal)
    this.#discipline.refuseReceivers(this.#removal)
  }

  stats(): ChannelStats {
    const { oldest, ...now } = this.#discipline.status()
    let underWay = 0
    for (const reader of this.#readers) underWay += reader.underWay
    return {
      received: this.#received,
      bytesIn: this.#bytesIn,
      delivered: this.#delivered,
      bytesOut: this.#bytesOut,
      redelivered: this.#redelivered,
      buried: this.#buried,
      expired: this.#expired,
      cut: this.#cut,
      ...now,
      underWay,
      readers: this.#readers.size,
      writers: this.#writers.size,
      oldestMs: oldest === undefined ? 0 : Math.max(0, this.now() - oldest),
    }
  }

  /** Once a second. */
  tick(): void {
    this.rates.tick(this.#received, this.#delivered)
  }

  /** Doors count the waits that their deadlines ended. */
  countExpired(): void {
    this.#expired++
  }

  countCut(): void {
    this.#cut++
  }

  /** For `Writer`. Undefined: it was refused, and its sender knows. */
  offer(sending: Sending): Message | undefined {
    const refusal = this.#refusal(sending.bytes.length)
    if (refusal !== undefined) {
      sending.settled(refusal)
      return undefined
    }
    const message = this.#register(sending)
    this.#discipline.offer(message)
    return message
  }

  /** For `Writer`. */
  withdraw(message: Message): boolean {
    if (!message.isOwed || !this.#discipline.withdraw(message)) return false
    this.#received--
    this.#bytesIn -= message.bytes.length
    return true
  }

  /** For `Reader`. */
  receive(waiter: Waiter): void {
    const { receiving, holder } = waiter
    const error = this.#receiveRefusal(holder as Reader)
    if (error === undefined) {
      this.#discipline.receive(waiter)
      return
    }
    holder.unwait(receiving)
    receiving.failed(error)
  }

  /** For `Reader`: it gets nothing more. */
  left(reader: Reader): void {
    this.#discipline.leave(reader)
  }

  /** For `Reader`: its hands are empty. */
  gone(reader: Reader): void {
    this.#readers.delete(reader)
  }

  /** For `Writer`. */
  writerLeft(writer: Writer): void {
    this.#writers.delete(writer)
  }

  now(): number {
    return this.#host.clock.now()
  }

  lease(parcel: Parcel): void {
    const { leaseMs } = this.#settings
    if (parcel.grade !== "done" || leaseMs === 0) return
    const timer = this.#host.clock.after(leaseMs, () => parcel.giveBack("kept it longer than the lease"))
    parcel.endLease = () => timer.cancel()
  }

  forget(message: Message): void {
    this.#host.free(message.bytes.length + messageOverhead)
  }

  delivered(parcel: Parcel): void {
    this.#delivered++
    this.#bytesOut += parcel.bytes.length
  }

  redelivered(): void {
    this.#redelivered++
  }

  buryElsewhere(message: Message): boolean {
    const { deadLetter } = this.#settings
    const grave = deadLetter === "" ? undefined : this.#host.find(deadLetter)
    if (grave === undefined || grave === this || !grave.#bury(message.bytes)) return false
    this.#buried++
    return true
  }

  drained(): void {
    if (!this.#isDrained()) return
    this.#discipline.refuseReceivers(new RdvError("closed", `${this.path} is closed`))
  }

  /** A message without a sender: it waits in line like others, and nothing but the channel's removal drops it. */
  #bury(bytes: Uint8Array): boolean {
    if (this.#refusal(bytes.length) !== undefined) return false
    const message = this.#register({ bytes, settled: () => undefined })
    message.disown()
    this.#discipline.offer(message)
    return true
  }

  #register(sending: Sending): Message {
    const message = new Message(this.#nextMessage++, sending, this.now())
    this.#received++
    this.#bytesIn += message.bytes.length
    this.#changedAt = this.#host.clock.wall()
    return message
  }

  #isDrained(): boolean {
    return this.#isClosed && !this.removed && this.#discipline.isEmpty
  }

  /** Why a message is not taken; else its bytes are reserved. */
  #refusal(bytes: number): RdvError | undefined {
    if (this.#removal !== undefined) return this.#removal
    if (this.#isClosed) return new RdvError("closed", `${this.path} is closed`)
    const { maxMessage, maxWaiting } = this.#settings
    if (bytes > maxMessage) {
      return new RdvError("too_large", `${bytes} bytes: ${this.path} takes messages of at most ${maxMessage}`)
    }
    if (this.#discipline.waitingSenders >= maxWaiting) {
      return new RdvError("limit", `${maxWaiting} senders wait at ${this.path}`)
    }
    try {
      this.#host.reserve(bytes + messageOverhead)
      return undefined
    } catch (error) {
      return error as RdvError
    }
  }

  #receiveRefusal(reader: Reader): RdvError | undefined {
    if (this.#removal !== undefined) return this.#removal
    // A multicast may have retained messages for this one still.
    if (this.#isDrained() && !this.#discipline.canReceive(reader)) {
      return new RdvError("closed", `${this.path} is closed`)
    }
    const { maxWaiting } = this.#settings
    if (this.#discipline.waitingReceivers < maxWaiting) return undefined
    return new RdvError("limit", `${maxWaiting} receivers wait at ${this.path}`)
  }

  #checkOpenable(have: number): void {
    if (this.#removal !== undefined) throw this.#removal
    if (have >= this.#settings.maxWaiting) {
      throw new RdvError("limit", `${this.path} is open ${have} times already`)
    }
  }
}

/** What is kept about a message beside its bytes: without it, empty messages would be bounded by nothing but their number. */
export const messageOverhead = 256

/** Who asks how much waits asks again when it has taken so much, bytes. */
const countedBytes = 65_536
