/**
 * Each message goes to every reader that is there when it is sent out. At most `size` messages (one for a rendezvous) are
 * out at a time, so what a reader can be behind is bounded; a reader that is behind stops the senders, or is cut off.
 */

import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { Discipline, DisciplineStatus } from "./discipline.ts"
import { Line } from "./line.ts"
import { Parcel } from "./message.ts"
import type { Ledger, Message, Waiter } from "./message.ts"
import type { Choice } from "./parties.ts"
import type { Reader } from "./reader.ts"
import type { Desk } from "./unicast.ts"

/** A message that is out, with those who have not proved yet that they have it. */
interface Edition {
  readonly message: Message
  readonly owedBy: Set<Subscription>
  /** Somebody has it for certain. */
  isProven: boolean
}

/** A reader's place. */
class Subscription {
  readonly reader: Reader
  /** Given out to it and not taken. */
  readonly inbox: Fifo<Edition> = new Fifo()
  readonly waiters: Line<Waiter> = new Line()
  /** In its hands. */
  readonly held: Map<Parcel, Edition> = new Map()

  constructor(reader: Reader) {
    this.reader = reader
  }
}

export class Multicast implements Discipline, Ledger {
  readonly #desk: Desk
  readonly #subscriptions: Map<Reader, Subscription> = new Map()
  /** Out, oldest first. Those that wait for a first reader are owed by nobody. */
  readonly #editions: Set<Edition> = new Set()
  readonly #offered: Line<Message> = new Line()
  readonly #retained: Fifo<Message> = new Fifo()
  #bytesOut = 0
  #isPumping = false

  constructor(desk: Desk) {
    this.#desk = desk
  }

  offer(message: Message): void {
    this.#offered.push(message)
    this.#pump()
    const { slowReader, size } = this.#desk.settings
    // A rendezvous has no measure of slowness: its readers are waited for.
    if (slowReader === "cut" && size > 0 && message.line !== undefined) this.#cutSlowest()
  }

  withdraw(message: Message): boolean {
    if (message.line === undefined) return false
    message.line.remove(message)
    this.#desk.forget(message)
    return true
  }

  receive(waiter: Waiter): void {
    const subscription = this.#subscriptions.get(waiter.holder as Reader)
    if (subscription === undefined) {
      waiter.holder.unwait(waiter.receiving)
      waiter.receiving.failed(new RdvError("limit", "This reader was cut off because it was too slow"))
      return
    }
    subscription.waiters.push(waiter)
    this.#pump()
  }

  join(reader: Reader): void {
    const subscription = new Subscription(reader)
    this.#subscriptions.set(reader, subscription)
    const retained: Message[] = []
    for (let message = this.#retained.shift(); message !== undefined; message = this.#retained.shift()) {
      retained.push(message)
    }
    for (const message of retained) {
      this.#retained.push(message)
      subscription.inbox.push({ message, owedBy: new Set([subscription]), isProven: true })
    }
    for (const edition of this.#editions) {
      // Nobody was there for it yet.
      if (edition.owedBy.size > 0 || edition.isProven) continue
      edition.owedBy.add(subscription)
      subscription.inbox.push(edition)
    }
    this.#pump()
  }

  leave(reader: Reader): void {
    const subscription = this.#subscriptions.get(reader)
    if (subscription === undefined) return
    this.#subscriptions.delete(reader)
    for (const edition of [...this.#editions]) {
      if (edition.owedBy.delete(subscription)) this.#endIfDone(edition)
    }
    this.#pump()
  }

  canSend(): boolean {
    if (this.#offered.length > 0 || !this.#hasRoom(0)) return false
    if (this.#desk.settings.size > 0) return true
    return [...this.#subscriptions.values()].some((each) => each.waiters.length > 0)
  }

  canReceive(_choice: Choice | undefined, reader: Reader | undefined): boolean {
    if (reader === undefined) return this.#retained.length > 0
    const subscription = this.#subscriptions.get(reader)
    return subscription === undefined || subscription.inbox.length > 0
  }

  head(): Message | undefined {
    return this.#retained.peek() ?? this.#offered.first
  }

  waitingBytes(reader: Reader, most: number): number {
    const subscription = this.#subscriptions.get(reader)
    if (subscription === undefined || subscription.inbox.length === 0) return 0
    const held = new Set(subscription.held.values())
    let bytes = 0
    for (const edition of this.#editions) {
      if (edition.owedBy.has(subscription) && !held.has(edition)) bytes += edition.message.bytes.length
      if (bytes >= most) break
    }
    // What was retained is out no more.
    return Math.max(bytes, subscription.inbox.peek()?.message.bytes.length ?? 0)
  }

  reconfigured(): void {
    this.#trimRetained()
    this.#pump()
  }

  refuseSenders(error: RdvError): void {
    for (let message = this.#offered.shift(); message !== undefined; message = this.#offered.shift()) {
      this.#desk.forget(message)
      message.settle(error)
    }
  }

  refuseReceivers(error: RdvError): void {
    for (const { waiters } of this.#subscriptions.values()) {
      for (let waiter = waiters.shift(); waiter !== undefined; waiter = waiters.shift()) {
        waiter.holder.unwait(waiter.receiving)
        waiter.receiving.failed(error)
      }
    }
  }

  clear(error: RdvError): void {
    this.refuseSenders(error)
    for (const subscription of this.#subscriptions.values()) subscription.inbox.clear()
    const held = new Set([...this.#subscriptions.values()].flatMap((each) => [...each.held.values()]))
    for (const edition of this.#editions) {
      if (!held.has(edition)) this.#end(edition, error)
    }
    this.#retained.clear()
  }

  get isEmpty(): boolean {
    return this.#editions.size === 0 && this.#offered.length === 0
  }

  get waitingSenders(): number {
    return this.#offered.length
  }

  get waitingReceivers(): number {
    let waiting = 0
    for (const { waiters } of this.#subscriptions.values()) waiting += waiters.length
    return waiting
  }

  status(): DisciplineStatus {
    const subscriptions = [...this.#subscriptions.values()]
    const since = [
      ...subscriptions.map((each) => each.waiters.first?.since),
      this.#offered.first?.since,
      this.#editions.values().next().value?.message.since,
    ].filter((each) => each !== undefined)
    return {
      buffered: this.#editions.size,
      bufferedBytes: this.#bytesOut,
      waitingSenders: this.#offered.length,
      waitingReceivers: this.waitingReceivers,
      oldest: since.length === 0 ? undefined : Math.min(...since),
    }
  }

  proven(parcel: Parcel): void {
    const subscription = this.#subscriptions.get(parcel.holder as Reader)
    const edition = subscription?.held.get(parcel)
    this.#desk.delivered(parcel)
    if (subscription === undefined || edition === undefined) return
    subscription.held.delete(parcel)
    edition.isProven = true
    edition.owedBy.delete(subscription)
    this.#endIfDone(edition)
    this.#pump()
  }

  returned(parcel: Parcel, _reason: string, vanished: boolean): void {
    const subscription = this.#subscriptions.get(parcel.holder as Reader)
    const edition = subscription?.held.get(parcel)
    if (subscription === undefined || edition === undefined) return
    subscription.held.delete(parcel)
    // A reader that leaves is no recipient any more; one that stays gets it again.
    if (vanished) return
    this.#desk.redelivered()
    subscription.inbox.unshift(edition)
    this.#pump()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      let isMoving = true
      while (isMoving) {
        isMoving = this.#sendOut()
        for (const subscription of this.#subscriptions.values()) {
          if (this.#deliver(subscription)) isMoving = true
        }
      }
    } finally {
      this.#isPumping = false
    }
  }

  /** A rendezvous needs a reader; a buffer does not. */
  #sendOut(): boolean {
    const { size } = this.#desk.settings
    const message = this.#offered.first
    if (message === undefined) return false
    if (message.isPassedOver) {
      this.#offered.remove(message)
      this.#desk.forget(message)
      return true
    }
    if (!this.#hasRoom(message.bytes.length) || (size === 0 && this.#subscriptions.size === 0)) return false
    this.#offered.remove(message)
    message.match()
    const edition: Edition = { message, owedBy: new Set(this.#subscriptions.values()), isProven: false }
    this.#editions.add(edition)
    this.#bytesOut += message.bytes.length
    for (const subscription of edition.owedBy) subscription.inbox.push(edition)
    if (size > 0) {
      message.accepted = true
      message.settle(undefined)
    }
    return true
  }

  #deliver(subscription: Subscription): boolean {
    let hasMoved = false
    while (subscription.inbox.length > 0) {
      const waiter = subscription.waiters.shift()
      if (waiter === undefined) return hasMoved
      const { receiving, holder } = waiter
      holder.unwait(receiving)
      if (waiter.isPassedOver) continue
      const edition = subscription.inbox.shift() as Edition
      const { message } = edition
      if (receiving.choice !== undefined) receiving.choice.taken = true
      message.attempts++
      const parcel = new Parcel(this, holder, message, 1, this.#desk.settings.deliver)
      subscription.held.set(parcel, edition)
      holder.hold(parcel)
      this.#desk.lease(parcel)
      hasMoved = true
      receiving.take(parcel)
    }
    return hasMoved
  }

  #hasRoom(bytes: number): boolean {
    const { size, sizeBytes } = this.#desk.settings
    if (this.#editions.size === 0) return true
    return this.#editions.size < size && this.#bytesOut + bytes <= sizeBytes
  }

  #endIfDone(edition: Edition): void {
    if (edition.owedBy.size > 0 || !this.#editions.has(edition)) return
    if (edition.isProven) {
      this.#end(edition, undefined)
      return
    }
    // All its recipients have left without it: the readers that are here now get it, or the first one to come.
    for (const subscription of this.#subscriptions.values()) {
      edition.owedBy.add(subscription)
      subscription.inbox.push(edition)
    }
  }

  #end(edition: Edition, error: RdvError | undefined): void {
    const { message } = edition
    this.#editions.delete(edition)
    this.#bytesOut -= message.bytes.length
    this.#desk.forget(message)
    message.settle(error)
    if (error === undefined && this.#desk.settings.retain > 0) {
      this.#retained.push(message)
      this.#trimRetained()
    }
    if (this.#editions.size === 0) this.#desk.drained()
  }

  #trimRetained(): void {
    while (this.#retained.length > this.#desk.settings.retain) this.#retained.shift()
  }

  /** Who has taken the least of what is out makes place for all others. */
  #cutSlowest(): void {
    const oldest = this.#editions.values().next().value
    if (oldest === undefined) return
    for (const subscription of [...oldest.owedBy]) {
      const { reader } = subscription
      if (!this.#subscriptions.has(reader)) continue
      reader.cutOff()
      this.leave(reader)
    }
  }
}
