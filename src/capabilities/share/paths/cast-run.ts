/**
 * One pass of a cast at its sender: every chunk once, in order, as numbered pieces, and again what receivers lack. Repairs
 * go first and are multicast too: what one has lost others may have lost. The pass goes as fast as nearly all follow
 * (`CastRate`), and ends when all that follow are complete, or ask for nothing any more.
 */

import { asRdvError } from "../../../base/error.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { allPieces } from "./cast-packet.ts"
import type { CastPiece, MissingSlot } from "./cast-packet.ts"
import { CastRate } from "./cast-rate.ts"
import type { CastReceivers } from "./cast-receivers.ts"
import type { CastPass, CastReport } from "./chunk-cast.ts"

export interface CastRunOptions {
  readonly clock: Clock
  readonly pass: CastPass
  /** Its number among the passes of a session. */
  readonly number: number
  readonly pieceBytes: number
  readonly receivers: CastReceivers
  /** Sends one piece to all. Returns what it took on the wire, 0 when the system takes no more now. */
  readonly send: (piece: Omit<CastPiece, "session" | "number">, bytes: Uint8Array) => number
  /** The number of the piece that was sent last. */
  readonly lastNumber: () => number
  readonly onEnd: (result: CastReport | Error) => void
}

interface Slot {
  readonly slot: number
  readonly chunk: number
  readonly length: number
  readonly pieces: number
  /** Absent while it is not held. */
  bytes: Uint8Array | undefined
  reading: boolean
  /** Pieces to be sent again. */
  readonly due: Set<number>
  /** The number under which a piece went out again: who has not seen it yet need not ask. */
  repaired: Map<number, number> | undefined
}

/** Of chunks, read before their time or kept for repairs. */
const mostHeldBytes = 32 * 1024 * 1024
const ahead = 3
/** What may go out at once, ms of the rate. */
const burstMs = 4
const leastBurst = 16_384
const adaptMs = 100
/** Pieces that one message may ask for. */
const mostAsked = 65_536
/** Less than that is radio that carries multicast at its slowest rate. */
const lameBytesPerSecond = 3_000_000
const lameMs = 2_000
/** Nobody has asked for so long: nobody needs anything. */
const quietMs = 600
const leastRepairMs = 3_000

export class CastRun {
  readonly #options: CastRunOptions
  readonly #rate: CastRate
  readonly #chunks: Iterator<number>
  readonly #slots: Slot[] = []
  /** Read and not begun, in order. */
  readonly #ready: Slot[] = []
  readonly #held = new Set<Slot>()
  #heldBytes = 0
  readonly #repairs = new Set<Slot>()
  #current: Slot | undefined
  #piece = 0
  #isExhausted = false
  #isReading = false
  #over = false
  #level = 0
  #at: number
  #adaptAt: number
  #adaptBytes = 0
  /** What goes out, averaged, bytes/ms. */
  #actual = 0
  /** The rate was what held it back since it was looked at. */
  #full = false
  readonly #startedAt: number
  /** Everything was sent once, and when; its last number. */
  #sentAt: number | undefined
  #sentNumber = 0
  #askedAt: number
  #briskAt: number
  #timer: Timer | undefined
  #bytes = 0
  #count = 0
  #skipped = 0
  #wireBytes = 0
  #repairedBytes = 0
  #most = 0

  constructor(options: CastRunOptions) {
    this.#options = options
    const { clock, pass } = options
    this.#rate = new CastRate(pass.bytesPerSecond === undefined ? undefined : pass.bytesPerSecond / 1000)
    this.#chunks = pass.chunks[Symbol.iterator]()
    this.#startedAt = clock.now()
    this.#at = this.#startedAt
    this.#adaptAt = this.#startedAt
    this.#askedAt = this.#startedAt
    this.#briskAt = this.#startedAt
  }

  /** The next to be sent for the first time. */
  get slot(): number {
    return this.#current?.slot ?? this.#slots.length - this.#ready.length
  }

  get piece(): number {
    return this.#current === undefined ? 0 : this.#piece
  }

  /** Bytes/ms, for people and tests. */
  get rate(): number {
    return this.#rate.rate
  }

  start(): void {
    this.#readAhead()
    this.#tick()
  }

  /** A receiver lacks these, and had seen packets up to `highest`. */
  missing(slots: readonly MissingSlot[], highest: number): void {
    if (this.#over) return
    this.#askedAt = this.#options.clock.now()
    let looked = 0
    for (const { slot: number, ranges } of slots) {
      const slot = this.#slots[number]
      if (slot === undefined || number > this.slot) continue
      const sent = slot === this.#current ? this.#piece : slot.pieces
      for (const [from, to] of ranges) {
        for (let piece = from; piece < Math.min(to === allPieces ? sent : to, sent); piece++) {
          if (++looked > mostAsked) break
          if ((slot.repaired?.get(piece) ?? -1) <= highest) slot.due.add(piece)
        }
      }
      if (slot.due.size > 0) this.#repairs.add(slot)
    }
    if (this.#timer === undefined) this.#tick()
  }

  stop(error: Error): void {
    this.#end(error)
  }

  #end(result: CastReport | Error): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#chunks.return?.()
    this.#options.onEnd(result)
  }

  #tick(): void {
    if (this.#over) return
    const { clock, receivers } = this.#options
    const now = clock.now()
    const rate = this.#rate.rate
    this.#most = Math.max(this.#most, receivers.count)
    this.#level = Math.min(Math.max(leastBurst, rate * burstMs), this.#level + (now - this.#at) * rate)
    this.#at = now
    let taken = true
    while (this.#level > 0 && !this.#over) {
      const bytes = this.#sendNext(now)
      if (bytes === undefined) break
      taken = bytes > 0
      if (!taken) break
      this.#level -= bytes
      this.#wireBytes += bytes
    }
    if (this.#over) return
    if (this.#level <= 0) this.#full = true
    if (now - this.#adaptAt >= adaptMs) {
      const actual = (this.#wireBytes - this.#adaptBytes) / (now - this.#adaptAt)
      const { lastNumber, pieceBytes } = this.#options
      this.#rate.adapt(receivers.all(), { actual, full: this.#full, last: lastNumber(), packetBytes: pieceBytes })
      this.#actual += (actual - this.#actual) * 0.2
      this.#adaptAt = now
      this.#adaptBytes = this.#wireBytes
      this.#full = false
    }
    if (this.#isDone(now)) {
      const bytes = { bytes: this.#bytes, wireBytes: this.#wireBytes, repairedBytes: this.#repairedBytes }
      this.#end({
        chunks: this.#count,
        skipped: this.#skipped,
        ...bytes,
        receivers: this.#most,
        ms: now - this.#startedAt,
      })
      return
    }
    const pause = this.#level <= 0 ? -this.#level / rate : taken && !this.#hasWork() ? 10 : 1
    this.#timer = clock.after(Math.max(0.5, pause), () => {
      this.#timer = undefined
      this.#tick()
    })
  }

  #hasWork(): boolean {
    return this.#repairs.size > 0 || this.#current !== undefined || this.#ready[0]?.bytes !== undefined
  }

  /** The normal way brings more. */
  #isLame(now: number): boolean {
    const { receivers, pass } = this.#options
    const least = (pass.leastBytesPerSecond ?? lameBytesPerSecond) / 1_000
    const most = ((pass.bytesPerSecond ?? Infinity) / 2_000) * receivers.count
    if (Math.min(this.#rate.rate, this.#actual) * receivers.count >= Math.min(least, most)) this.#briskAt = now
    return now - this.#briskAt > lameMs
  }

  #isDone(now: number): boolean {
    const { receivers } = this.#options
    if (receivers.count === 0) return true
    if (this.#sentAt === undefined && this.#isLame(now)) return true
    if (this.#sentAt === undefined) return false
    const followers = receivers.all().filter((each) => !receivers.isHopeless(each))
    if (followers.every(({ complete, highest }) => complete && highest >= this.#sentNumber)) return true
    const isQuiet = this.#repairs.size === 0 && now - Math.max(this.#sentAt, this.#askedAt) >= quietMs
    return isQuiet || now - this.#sentAt > Math.max(leastRepairMs, this.#sentAt - this.#startedAt)
  }

  /** What it took on the wire; undefined: there is nothing to send now. */
  #sendNext(now: number): number | undefined {
    for (const slot of this.#repairs) {
      if (slot.bytes === undefined) {
        this.#read(slot)
        continue
      }
      const piece = slot.due.values().next().value
      if (piece === undefined) {
        this.#repairs.delete(slot)
        continue
      }
      const bytes = this.#send(slot, piece)
      if (bytes === 0) return 0
      slot.due.delete(piece)
      slot.repaired ??= new Map()
      slot.repaired.set(piece, this.#options.lastNumber())
      this.#repairedBytes += bytes
      return bytes
    }
    if (this.#current === undefined) {
      if (this.#ready[0]?.bytes === undefined) {
        if (this.#ready.length === 0 && this.#isExhausted && !this.#isReading && this.#sentAt === undefined) {
          this.#sentAt = now
          this.#sentNumber = this.#options.lastNumber()
        }
        return undefined
      }
      this.#current = this.#ready.shift()
      this.#piece = 0
      this.#readAhead()
    }
    const slot = this.#current as Slot
    const bytes = this.#send(slot, this.#piece)
    if (bytes === 0) return 0
    if (++this.#piece === slot.pieces) {
      this.#current = undefined
      this.#count++
      this.#bytes += slot.length
    }
    return bytes
  }

  #send({ slot, chunk, length, bytes }: Slot, piece: number): number {
    const { number, pieceBytes, pass, send } = this.#options
    const from = piece * pieceBytes
    const part = (bytes as Uint8Array).subarray(from, Math.min(length, from + pieceBytes))
    return send({ pass: number, version: pass.version & 0xffff, chunk, length, slot, piece }, part)
  }

  #readAhead(): void {
    while (!this.#over && !this.#isExhausted && !this.#isReading && this.#ready.length < ahead) {
      const next = this.#chunks.next()
      if (next.done === true) {
        this.#isExhausted = true
        return
      }
      if (!this.#options.receivers.isWanted(next.value)) {
        this.#skipped++
        continue
      }
      const slot = this.#slots.length
      let bytes: Uint8Array | Promise<Uint8Array>
      try {
        bytes = this.#options.pass.read(next.value)
      } catch (error) {
        this.#end(asRdvError(error))
        return
      }
      if (!(bytes instanceof Uint8Array)) {
        // One read at a time keeps the order.
        this.#isReading = true
        bytes.then(
          (read) => {
            this.#isReading = false
            this.#take(slot, next.value, read)
            this.#readAhead()
            if (this.#timer === undefined) this.#tick()
          },
          (error: unknown) => this.#end(asRdvError(error)),
        )
        return
      }
      this.#take(slot, next.value, bytes)
    }
  }

  #take(number: number, chunk: number, bytes: Uint8Array): void {
    const pieces = Math.ceil(bytes.length / this.#options.pieceBytes)
    const slot: Slot = {
      slot: number,
      chunk,
      length: bytes.length,
      pieces,
      bytes: undefined,
      reading: false,
      due: new Set(),
      repaired: undefined,
    }
    this.#slots.push(slot)
    this.#ready.push(slot)
    this.#hold(slot, bytes)
  }

  /** Repairs come late sometimes, and the chunk is read anew. */
  #read(slot: Slot): void {
    if (slot.reading) return
    slot.reading = true
    const taken = (bytes: Uint8Array) => {
      slot.reading = false
      if (!this.#over) this.#hold(slot, bytes)
    }
    try {
      const bytes = this.#options.pass.read(slot.chunk)
      if (bytes instanceof Uint8Array) taken(bytes)
      else bytes.then(taken, (error: unknown) => this.#end(asRdvError(error)))
    } catch (error) {
      this.#end(asRdvError(error))
    }
  }

  #hold(slot: Slot, bytes: Uint8Array): void {
    slot.bytes = bytes
    this.#held.add(slot)
    this.#heldBytes += slot.length
    for (const old of this.#held) {
      if (this.#heldBytes <= mostHeldBytes) return
      if (old === this.#current || old.due.size > 0 || this.#ready.includes(old)) continue
      this.#held.delete(old)
      this.#heldBytes -= old.length
      old.bytes = undefined
      old.repaired = undefined
    }
  }
}
