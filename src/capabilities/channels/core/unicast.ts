/**
 * Each message goes to one receiver, first come first served on both sides. What was given back stands before everything
 * that came later.
 */

import { RdvError } from "../../../base/error.ts"
import type { Desk, Discipline, DisciplineStatus } from "./discipline.ts"
import { Line } from "./line.ts"
import { Parcel, takeOwed } from "./message.ts"
import type { Ledger, Message, Waiter } from "./message.ts"
import type { Choice } from "./parties.ts"
import type { Reader } from "./reader.ts"

export class Unicast implements Discipline, Ledger {
  readonly #desk: Desk
  /** The channel's own: accepted into the buffer, or given back. Oldest first. */
  readonly #ready: Line<Message> = new Line()
  /** Their senders wait. */
  readonly #offered: Line<Message> = new Line()
  readonly #waiters: Line<Waiter> = new Line()
  /** Accepted and not proven: in the line or under way. */
  #accepted = 0
  #acceptedBytes = 0
  #readyBytes = 0
  #underWay = 0
  #isPumping = false
  /** Where the next one will probably stand: a reader that leaves gives back many, in order. */
  #lastReturned: Message | undefined

  constructor(desk: Desk) {
    this.#desk = desk
  }

  offer(message: Message): void {
    this.#offered.push(message)
    this.#pump()
  }

  withdraw(message: Message): boolean {
    if (message.line === undefined || message.accepted || !message.isOwed) return false
    if (message.line === this.#ready) this.#readyBytes -= message.bytes.length
    message.line.remove(message)
    this.#desk.forget(message)
    return true
  }

  receive(waiter: Waiter): void {
    this.#waiters.push(waiter)
    this.#pump()
  }

  join(): void {}

  leave(): void {}

  canReceive(): boolean {
    return this.#messageFor(undefined) !== undefined
  }

  head(): Message | undefined {
    return this.#messageFor(undefined)
  }

  waitingBytes(_reader: Reader, most: number): number {
    let bytes = 0
    let left = mostLooked
    for (const line of [this.#ready, this.#offered]) {
      for (let message = line.first; message !== undefined && bytes < most && left > 0; message = message.next) {
        bytes += message.bytes.length
        left--
      }
    }
    return bytes
  }

  reconfigured(): void {
    this.#pump()
  }

  refuseSenders(error: RdvError): void {
    for (const message of takeOwed(this.#offered)) this.#drop(message, error)
  }

  refuseReceivers(error: RdvError): void {
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      waiter.holder.unwait(waiter.receiving)
      waiter.receiving.failed(error)
    }
  }

  clear(error: RdvError): void {
    for (let message = this.#offered.shift(); message !== undefined; message = this.#offered.shift()) {
      this.#drop(message, error)
    }
    for (let message = this.#ready.shift(); message !== undefined; message = this.#ready.shift()) {
      this.#readyBytes -= message.bytes.length
      this.#drop(message, error)
    }
  }

  get isEmpty(): boolean {
    return this.#ready.length === 0 && this.#offered.length === 0 && this.#underWay === 0
  }

  get waitingSenders(): number {
    return this.#offered.length
  }

  get waitingReceivers(): number {
    return this.#waiters.length
  }

  status(): DisciplineStatus {
    const firsts = [this.#ready.first?.since, this.#offered.first?.since, this.#waiters.first?.since]
    const since = firsts.filter((each) => each !== undefined)
    return {
      buffered: this.#ready.length,
      bufferedBytes: this.#readyBytes,
      waitingSenders: this.#offered.length,
      waitingReceivers: this.#waiters.length,
      oldest: since.length === 0 ? undefined : Math.min(...since),
    }
  }

  proven(parcel: Parcel): void {
    const { message } = parcel
    this.#underWay--
    this.#end(message)
    this.#desk.delivered(parcel)
    message.settle(undefined)
    this.#pump()
    if (this.#underWay === 0) this.#desk.drained()
  }

  returned(parcel: Parcel, reason: string, vanished: boolean): void {
    const { message } = parcel
    const { removal, settings } = this.#desk
    const { attempts, onDisconnect } = settings
    this.#underWay--
    const isOver = attempts > 0 && message.attempts - message.spared >= attempts
    if (message.isAbandoned && message.isOwed) {
      this.#end(message)
      message.disown()
    } else if (isOver && this.#desk.buryElsewhere(message, reason)) {
      this.#end(message)
      message.settle(undefined)
    } else if (removal !== undefined) {
      this.#drop(message, removal)
    } else if (message.isOwed && (isOver || (vanished && onDisconnect === "fail"))) {
      this.#drop(message, new RdvError("connection_reset", `The receiver of the message ${reason}`))
    } else {
      this.#desk.redelivered()
      this.#readyBytes += message.bytes.length
      const near = this.#lastReturned?.line === this.#ready ? this.#lastReturned : undefined
      this.#ready.insert(message, (other) => other.id > message.id, near)
      this.#lastReturned = message
      message.unmatch()
    }
    this.#pump()
    if (this.#underWay === 0) this.#desk.drained()
  }

  /** Brings together whoever fits. What the parties do meanwhile is seen by the loop that runs already. */
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      do {
        this.#accept()
      } while (this.#matchOne())
    } finally {
      this.#isPumping = false
    }
  }

  #matchOne(): boolean {
    let waiter = this.#waiters.first
    while (waiter !== undefined) {
      const { next } = waiter
      const message = waiter.isPassedOver ? undefined : this.#messageFor(waiter.receiving.choice)
      if (message !== undefined) {
        this.#give(message, waiter)
        return true
      }
      if (this.#ready.length === 0 && this.#offered.length === 0) return false
      waiter = next
    }
    return false
  }

  #give(message: Message, waiter: Waiter): void {
    const { settings } = this.#desk
    const { receiving, holder } = waiter
    if (message.line === this.#ready) this.#readyBytes -= message.bytes.length
    if (message === this.#lastReturned) this.#lastReturned = undefined
    message.line?.remove(message)
    this.#waiters.remove(waiter)
    holder.unwait(receiving)
    if (receiving.choice !== undefined) receiving.choice.taken = true
    message.attempts++
    this.#underWay++
    const parcel = new Parcel(this, holder, message, message.attempts, settings.deliver)
    // In the receiver's hands before anybody hears of it: the sender may be the one who ends the receiver.
    holder.hold(parcel)
    this.#desk.lease(parcel)
    message.match()
    if (settings.deliver === "matched") message.settle(undefined)
    if (parcel.isOpen) receiving.take(parcel)
  }

  /** Gives places in the buffer to those who wait for one. */
  #accept(): void {
    if (this.#desk.settings.size === 0) return
    for (let message = this.#offered.first; message !== undefined; message = this.#offered.first) {
      if (!message.isPassedOver) {
        if (!this.#hasRoom(message.bytes.length)) return
        this.#offered.remove(message)
        message.accepted = true
        this.#accepted++
        this.#acceptedBytes += message.bytes.length
        this.#readyBytes += message.bytes.length
        this.#ready.push(message)
        message.match()
        message.settle(undefined)
      } else {
        this.#offered.remove(message)
        this.#desk.forget(message)
      }
    }
  }

  #hasRoom(bytes: number): boolean {
    const { size, sizeBytes } = this.#desk.settings
    if (this.#accepted >= size) return false
    // One message fits always: a limit below the largest message would stop everything.
    return this.#accepted === 0 || this.#acceptedBytes + bytes <= sizeBytes
  }

  #messageFor(choice: Choice | undefined): Message | undefined {
    const ready = this.#ready.first
    if (ready !== undefined) return ready
    for (let message = this.#offered.first; message !== undefined; message = message.next) {
      if (!message.isPassedOver && (choice === undefined || message.choice !== choice)) return message
    }
    return undefined
  }

  /** It leaves the channel's care. */
  #end(message: Message): void {
    if (message.accepted) {
      this.#accepted--
      this.#acceptedBytes -= message.bytes.length
    }
    this.#desk.forget(message)
  }

  #drop(message: Message, error: RdvError): void {
    this.#end(message)
    message.settle(error)
  }
}

/** Messages without a byte are many before they are much. */
const mostLooked = 1_024
