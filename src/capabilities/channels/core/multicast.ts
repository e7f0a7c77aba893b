/**
 * Each message goes to every reader that is there when it is sent out. At most `size` messages (one for a rendezvous) are
 * out at a time, so what a reader can be behind is bounded; a reader that is behind stops the senders, or is cut off.
 */

import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { Desk, Discipline, DisciplineStatus } from "./discipline.ts"
import { Line } from "./line.ts"
import type { Crowd } from "./line.ts"
import { Parcel, takeOwed } from "./message.ts"
import type { Ledger, Message, Waiter } from "./message.ts"
import type { Reader } from "./reader.ts"
import { Edition, Subscription } from "./subscription.ts"

export class Multicast implements Discipline, Ledger {
  readonly #desk: Desk
  readonly #subscriptions: Map<Reader, Subscription> = new Map()
  /** Out, oldest first. Those that wait for a first reader are owed by nobody. */
  readonly #editions: Map<Message, Edition> = new Map()
  readonly #offered: Line<Message> = new Line()
  readonly #retained: Fifo<Edition> = new Fifo()
  /** Of all readers. */
  readonly #waiters: Crowd = { length: 0 }
  /** They have both: something in the inbox, and somebody who waits. */
  readonly #due: Fifo<Subscription> = new Fifo()
  #bytesOut = 0
  #isPumping = false

  constructor(desk: Desk) {
    this.#desk = desk
  }

  offer(message: Message): void {
    this.#offered.push(message)
    this.#pump()
  }

  withdraw(message: Message): boolean {
    if (message.line !== undefined) {
      message.line.remove(message)
      this.#desk.forget(message)
      return true
    }
    const edition = this.#editions.get(message)
    if (edition === undefined || message.accepted || !isNobodys(edition)) return false
    this.#remove(edition)
    this.#pump()
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
    this.#notice(subscription)
    this.#pump()
  }

  join(reader: Reader): void {
    const subscription = new Subscription(reader, this.#waiters)
    this.#subscriptions.set(reader, subscription)
    // Once round: all of them are there again behind it.
    for (let left = this.#retained.length; left > 0; left--) {
      const edition = this.#retained.shift() as Edition
      this.#retained.push(edition)
      this.#owe(edition, subscription)
    }
    for (const edition of this.#editions.values()) if (isNobodys(edition)) this.#owe(edition, subscription)
    this.#pump()
  }

  leave(reader: Reader): void {
    const subscription = this.#subscriptions.get(reader)
    if (subscription === undefined) return
    this.#subscriptions.delete(reader)
    const owed = [...subscription.held.values()]
    for (let edition = subscription.inbox.shift(); edition !== undefined; edition = subscription.inbox.shift()) {
      owed.push(edition)
    }
    for (const edition of owed) if (edition.owedBy.delete(subscription)) this.#endIfDone(edition)
    this.#pump()
  }

  canReceive(reader: Reader | undefined): boolean {
    if (reader === undefined) return this.head() !== undefined
    const subscription = this.#subscriptions.get(reader)
    return subscription === undefined || subscription.inbox.length > 0
  }

  head(): Message | undefined {
    const retained = this.#retained.peek()
    if (retained !== undefined) return retained.message
    const oldest = this.#editions.values().next().value
    return oldest !== undefined && isNobodys(oldest) ? oldest.message : this.#offered.first
  }

  waitingBytes(reader: Reader): number {
    return this.#subscriptions.get(reader)?.inboxBytes ?? 0
  }

  reconfigured(): void {
    this.#trimRetained()
    this.#pump()
  }

  refuseSenders(error: RdvError): void {
    for (const message of takeOwed(this.#offered)) {
      this.#desk.forget(message)
      message.settle(error)
    }
  }

  refuseReceivers(error: RdvError): void {
    for (const { waiters, inbox } of this.#subscriptions.values()) {
      // Who is about to be served is not at the end yet.
      if (inbox.length > 0) continue
      for (let waiter = waiters.shift(); waiter !== undefined; waiter = waiters.shift()) {
        waiter.holder.unwait(waiter.receiving)
        waiter.receiving.failed(error)
      }
    }
  }

  clear(error: RdvError): void {
    const touched: Set<Edition> = new Set(this.#editions.values())
    for (let edition = this.#retained.shift(); edition !== undefined; edition = this.#retained.shift()) {
      edition.isRetained = false
      touched.add(edition)
    }
    for (const subscription of this.#subscriptions.values()) {
      const { inbox } = subscription
      for (let edition = inbox.shift(); edition !== undefined; edition = inbox.shift()) {
        edition.owedBy.delete(subscription)
        edition.isCutShort = true
        touched.add(edition)
      }
      subscription.inboxBytes = 0
    }
    const offered: Message[] = []
    for (let message = this.#offered.shift(); message !== undefined; message = this.#offered.shift()) {
      offered.push(message)
      this.#desk.forget(message)
    }
    for (const edition of touched) {
      if (edition.owedBy.size > 0) continue
      if (edition.isOut) this.#end(edition, error)
      else this.#freeIfOver(edition)
    }
    for (const message of offered) message.settle(error)
  }

  get isEmpty(): boolean {
    return this.#editions.size === 0 && this.#offered.length === 0
  }

  get waitingSenders(): number {
    return this.#offered.length
  }

  get waitingReceivers(): number {
    return this.#waiters.length
  }

  status(): DisciplineStatus {
    let oldest = this.#offered.first?.since
    const look = (since: number | undefined) => {
      if (since !== undefined && (oldest === undefined || since < oldest)) oldest = since
    }
    look(this.#editions.values().next().value?.message.since)
    for (const { waiters } of this.#subscriptions.values()) look(waiters.first?.since)
    return {
      buffered: this.#editions.size,
      bufferedBytes: this.#bytesOut,
      waitingSenders: this.#offered.length,
      waitingReceivers: this.#waiters.length,
      oldest,
    }
  }

  proven(parcel: Parcel): void {
    this.#desk.delivered(parcel)
    const subscription = this.#subscriptions.get(parcel.holder as Reader)
    const edition = subscription?.held.get(parcel)
    if (subscription === undefined || edition === undefined) return
    subscription.held.delete(parcel)
    subscription.refusals.delete(edition)
    edition.isProven = true
    edition.owedBy.delete(subscription)
    this.#endIfDone(edition)
    this.#pump()
  }

  returned(parcel: Parcel): void {
    const subscription = this.#subscriptions.get(parcel.holder as Reader)
    const edition = subscription?.held.get(parcel)
    // A reader that has left is no recipient any more; one that stays gets it again.
    if (subscription === undefined || edition === undefined) return
    subscription.held.delete(parcel)
    if (this.#desk.removal !== undefined) {
      // It stays and has not got it, and there is no channel to give it again: the sender may not hear that all have it.
      edition.isCutShort = true
      edition.owedBy.delete(subscription)
      this.#endIfDone(edition)
      return
    }
    this.#desk.redelivered()
    subscription.refusals.set(edition, parcel.attempt)
    this.#insert(edition, subscription)
    this.#pump()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      for (;;) {
        const subscription = this.#due.shift()
        if (subscription !== undefined) this.#deliver(subscription)
        else if (!this.#sendOut()) return
      }
    } finally {
      this.#isPumping = false
    }
  }

  #notice(subscription: Subscription): void {
    if (subscription.isDue || subscription.inbox.length === 0 || subscription.waiters.length === 0) return
    subscription.isDue = true
    this.#due.push(subscription)
  }

  /** A rendezvous needs a reader; a buffer does not. */
  #sendOut(): boolean {
    const { size, slowReader } = this.#desk.settings
    const message = this.#offered.first
    if (message === undefined) return false
    if (message.isPassedOver) {
      this.#offered.remove(message)
      this.#desk.forget(message)
      return true
    }
    // A rendezvous has no measure of slowness: its readers are waited for.
    if (!this.#hasRoom(message.bytes.length)) return slowReader === "cut" && size > 0 && this.#cutSlowest()
    if (size === 0 && this.#subscriptions.size === 0) return false
    this.#offered.remove(message)
    const edition = new Edition(message)
    this.#editions.set(message, edition)
    this.#bytesOut += message.bytes.length
    for (const subscription of this.#subscriptions.values()) this.#owe(edition, subscription)
    if (size > 0) message.accepted = true
    message.match()
    if (size > 0) message.settle(undefined)
    return true
  }

  #deliver(subscription: Subscription): void {
    const { inbox, waiters, held, refusals } = subscription
    subscription.isDue = false
    while (inbox.length > 0) {
      const waiter = waiters.shift()
      if (waiter === undefined) return
      const { receiving, holder } = waiter
      holder.unwait(receiving)
      if (waiter.isPassedOver) continue
      const edition = inbox.shift() as Edition
      const { message } = edition
      subscription.inboxBytes -= message.bytes.length
      if (receiving.choice !== undefined) receiving.choice.taken = true
      message.attempts++
      const attempt = (refusals.get(edition) ?? 0) + 1
      const parcel = new Parcel(this, holder, message, attempt, this.#desk.settings.deliver)
      held.set(parcel, edition)
      holder.hold(parcel)
      this.#desk.lease(parcel)
      receiving.take(parcel)
    }
  }

  #hasRoom(bytes: number): boolean {
    const { size, sizeBytes } = this.#desk.settings
    if (this.#editions.size === 0) return true
    return this.#editions.size < size && this.#bytesOut + bytes <= sizeBytes
  }

  /** Newer than everything in the inbox. */
  #owe(edition: Edition, subscription: Subscription): void {
    edition.owedBy.add(subscription)
    subscription.inbox.push(edition)
    subscription.inboxBytes += edition.message.bytes.length
    this.#notice(subscription)
  }

  /** Puts it before what came later. */
  #insert(edition: Edition, subscription: Subscription): void {
    const { inbox } = subscription
    const all: Edition[] = []
    for (let each = inbox.shift(); each !== undefined; each = inbox.shift()) all.push(each)
    const at = all.findIndex((each) => each.message.id > edition.message.id)
    all.splice(at < 0 ? all.length : at, 0, edition)
    for (const each of all) inbox.push(each)
    subscription.inboxBytes += edition.message.bytes.length
    this.#notice(subscription)
  }

  #endIfDone(edition: Edition): void {
    const { message } = edition
    if (edition.owedBy.size > 0) return
    if (!edition.isOut) this.#freeIfOver(edition)
    else if (edition.isProven && !edition.isCutShort) this.#end(edition, undefined)
    else if (message.isAbandoned && message.isOwed) {
      message.disown()
      this.#end(edition, undefined)
    } else if (this.#desk.removal !== undefined) this.#end(edition, this.#desk.removal)
    else {
      // All its recipients have left without it: the readers that are here now get it, or the first one to come.
      for (const subscription of this.#subscriptions.values()) {
        edition.owedBy.add(subscription)
        this.#insert(edition, subscription)
      }
      if (isNobodys(edition)) message.unmatch()
    }
  }

  #end(edition: Edition, error: RdvError | undefined): void {
    const { message } = edition
    edition.isRetained = edition.isProven && this.#desk.removal === undefined && this.#desk.settings.retain > 0
    if (edition.isRetained) this.#retained.push(edition)
    this.#remove(edition)
    this.#trimRetained()
    message.settle(error)
    if (this.#editions.size === 0) this.#desk.drained()
  }

  #remove(edition: Edition): void {
    edition.isOut = false
    this.#editions.delete(edition.message)
    this.#bytesOut -= edition.message.bytes.length
    this.#freeIfOver(edition)
  }

  #freeIfOver({ message, owedBy, isOut, isRetained }: Edition): void {
    if (!isOut && !isRetained && owedBy.size === 0) this.#desk.forget(message)
  }

  #trimRetained(): void {
    while (this.#retained.length > this.#desk.settings.retain) {
      const edition = this.#retained.shift() as Edition
      edition.isRetained = false
      this.#freeIfOver(edition)
    }
  }

  /** Who has not taken the oldest of what is out makes place for all others. True when there was somebody. */
  #cutSlowest(): boolean {
    const oldest = this.#editions.values().next().value
    if (oldest === undefined || oldest.owedBy.size === 0) return false
    const slow = [...oldest.owedBy]
    for (const { reader } of slow) {
      if (!this.#subscriptions.has(reader)) continue
      this.leave(reader)
      reader.cutOff()
    }
    return true
  }
}

/** It waits for a first reader. */
function isNobodys({ owedBy, isProven }: Edition): boolean {
  return owedBy.size === 0 && !isProven
}
