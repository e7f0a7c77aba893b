/**
 * What a path has to send: controls, in order and until they have arrived, and chunks as pieces of what a packet holds.
 * Chunks are kept by reference until every byte has arrived. Lost bytes go before new ones.
 */

import { Fifo } from "../../../base/fifo.ts"
import { RdvError } from "../../../base/error.ts"
import { Ranges } from "./datagram-ranges.ts"
import type { ChunkName } from "./chunk-path.ts"
import type { Control } from "./datagram-packet.ts"

/** Controls under way at once; the others wait. The receiver holds as many out of order. */
export const controlWindow = 1024
const mostControls = 65_536

export class Outgoing {
  readonly name: ChunkName
  readonly bytes: Uint8Array
  readonly done: (() => void) | undefined
  /** Given with the first piece; -1: nothing was sent. */
  transfer = -1
  next = 0
  readonly arrived: Ranges = new Ranges()
  readonly lost: Ranges = new Ranges()
  over = false

  constructor(name: ChunkName, bytes: Uint8Array, done: (() => void) | undefined) {
    this.name = name
    this.bytes = bytes
    this.done = done
  }
}

export interface NextPiece {
  readonly outgoing: Outgoing
  readonly from: number
  readonly to: number
}

export class Outbox {
  /** Bytes that are to be sent, for the first time or again. */
  pendingBytes = 0
  /** Bytes that have arrived. */
  sentBytes = 0
  #transfers = 0
  #controlNumber = 0
  readonly #fresh = new Fifo<Outgoing>()
  /** Begun and not whole at the other side; by number. */
  readonly #begun = new Map<number, Outgoing>()
  readonly #repairs: Outgoing[] = []
  readonly #waiting = new Fifo<Control>()
  /** Sent or to be sent again. */
  readonly #controls = new Map<number, Control>()
  readonly #due = new Set<number>()

  get isEmpty(): boolean {
    return this.#fresh.length === 0 && this.#begun.size === 0 && this.#waiting.length === 0 && this.#controls.size === 0
  }

  get hasControls(): boolean {
    return this.#due.size > 0 || (this.#waiting.length > 0 && this.#controls.size < controlWindow)
  }

  get hasPieces(): boolean {
    return this.pendingBytes > 0
  }

  /** Throws `limit`: the other side does not answer, and it is told more and more. */
  control(control: Control): void {
    if (this.#waiting.length >= mostControls) throw new RdvError("limit", "Too many unanswered messages on a path")
    this.#waiting.push(control)
  }

  /** The next control for this packet. */
  nextControl(): readonly [sequence: number, control: Control] | undefined {
    const due = this.#due.values().next().value
    if (due !== undefined) {
      this.#due.delete(due)
      return [due, this.#controls.get(due) as Control]
    }
    if (this.#controls.size >= controlWindow) return undefined
    const control = this.#waiting.shift()
    if (control === undefined) return undefined
    const sequence = this.#controlNumber++
    this.#controls.set(sequence, control)
    return [sequence, control]
  }

  controlArrived(sequence: number): void {
    this.#controls.delete(sequence)
    this.#due.delete(sequence)
  }

  controlLost(sequence: number): void {
    if (this.#controls.has(sequence)) this.#due.add(sequence)
  }

  chunk(outgoing: Outgoing): void {
    this.pendingBytes += outgoing.bytes.length
    this.#fresh.push(outgoing)
  }

  /** The next bytes to send, at most `most`. */
  nextPiece(most: number): NextPiece | undefined {
    for (let repair = this.#repairs[0]; repair !== undefined; repair = this.#repairs[0]) {
      const piece = repair.over ? undefined : repair.lost.takeFirst(most)
      if (piece !== undefined) {
        this.pendingBytes -= piece.to - piece.from
        return { outgoing: repair, ...piece }
      }
      this.#repairs.shift()
    }
    let outgoing = this.#fresh.peek()
    while (outgoing?.over === true) {
      this.#fresh.shift()
      outgoing = this.#fresh.peek()
    }
    if (outgoing === undefined) return undefined
    if (outgoing.transfer < 0) {
      outgoing.transfer = this.#transfers++
      this.#begun.set(outgoing.transfer, outgoing)
    }
    const from = outgoing.next
    const to = Math.min(outgoing.bytes.length, from + most)
    outgoing.next = to
    this.pendingBytes -= to - from
    if (to === outgoing.bytes.length) this.#fresh.shift()
    return { outgoing, from, to }
  }

  pieceArrived(transfer: number, from: number, to: number): void {
    const outgoing = this.#begun.get(transfer)
    if (outgoing === undefined) return
    this.sentBytes += outgoing.arrived.add(from, to)
    if (outgoing.arrived.size === outgoing.bytes.length) this.#end(outgoing)
  }

  pieceLost(transfer: number, from: number, to: number): void {
    const outgoing = this.#begun.get(transfer)
    if (outgoing === undefined) return
    // Part of it may have arrived in another packet.
    for (const [start, end] of outgoing.arrived.missing(from, to)) this.pendingBytes += outgoing.lost.add(start, end)
    if (outgoing.lost.count > 0 && !this.#repairs.includes(outgoing)) this.#repairs.push(outgoing)
  }

  /** The other side has no room for it. */
  stopped(transfer: number): void {
    const outgoing = this.#begun.get(transfer)
    if (outgoing !== undefined) this.#end(outgoing)
  }

  /** Forgets sendings of this chunk that have not begun: what has begun arrives whole, and is perhaps of use. */
  cancel({ version, chunk }: ChunkName): void {
    for (const outgoing of this.#outgoings()) {
      const { name, transfer, over } = outgoing
      if (transfer < 0 && !over && name.chunk === chunk && (name.version & 0xffff) === version) this.#end(outgoing)
    }
  }

  /** The path is over. */
  clear(): void {
    for (const outgoing of this.#outgoings()) if (!outgoing.over) this.#end(outgoing)
    this.#fresh.clear()
    this.#waiting.clear()
    this.#controls.clear()
    this.#due.clear()
    this.#repairs.length = 0
  }

  #outgoings(): Outgoing[] {
    const all = new Set(this.#begun.values())
    for (let left = this.#fresh.length; left > 0; left--) {
      const outgoing = this.#fresh.shift() as Outgoing
      all.add(outgoing)
      this.#fresh.push(outgoing)
    }
    return [...all]
  }

  #end(outgoing: Outgoing): void {
    outgoing.over = true
    this.pendingBytes -= outgoing.bytes.length - outgoing.next + outgoing.lost.size
    this.#begun.delete(outgoing.transfer)
    outgoing.done?.()
  }
}
