/**
 * The sender's side of a cast: beacons, who answers them, and one pass at a time. It has a socket for each interface;
 * beacons go out on all, pieces where somebody listens.
 */

import { randomBytes } from "../../../base/bytes.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import {
  castNonceBytes,
  castPieceHeadBytes,
  castSession,
  passOver,
  passRuns,
  readHave,
  readHere,
  readMissing,
  upKind,
  writeBeacon,
  writePiece,
} from "./cast-packet.ts"
import type { CastPiece } from "./cast-packet.ts"
import { beaconMac, castGroup, sessionMacs } from "./cast-place.ts"
import { CastReceivers } from "./cast-receivers.ts"
import { CastRun } from "./cast-run.ts"
import type { CastEvents, CastPass, CastPlace, CastReport, CastSpeaker } from "./chunk-cast.ts"
import { isSealed, seal, tagBytes } from "./datagram-mac.ts"
import type { Mac, MacFor } from "./datagram-mac.ts"
import { printAddress } from "./datagram-socket.ts"
import type { DatagramAddress, DatagramSocket } from "./datagram-socket.ts"

export interface CastSenderOptions {
  /** One for each interface; the sender closes them. */
  readonly sockets: readonly DatagramSocket[]
  readonly place: CastPlace
  readonly events: CastEvents
  readonly clock: Clock
  readonly macFor: MacFor
  /** Payload of datagrams. Default 1,400: networks that carry multicast carry that. */
  readonly datagramBytes?: number
  readonly random?: (count: number) => Uint8Array
}

const beaconMs = 1_000
/** The first ones come sooner, so that a pass may begin soon, and those behind a pass, so that all hear of its end. */
const earlyBeaconMs = 100
const earlyBeacons = 10
/** During a pass. */
const passBeaconMs = 50
/** Between the announcement of a pass and its first piece: receivers say what they have. */
const beginMs = 100
const awayMs = 3_500
/** Of IP and UDP. */
const headerBytes = 28
/** When pieces went out is known for so many moments. */
const mostMoments = 4096

export class CastSender implements CastSpeaker {
  readonly place: string
  readonly #options: CastSenderOptions
  readonly #clock: Clock
  readonly #group: DatagramAddress
  readonly #session: number
  readonly #nonce: Uint8Array
  readonly #beaconMac: Mac
  readonly #macs: { readonly down: Mac; readonly up: Mac }
  readonly #buffer: Uint8Array
  readonly #pieceBytes: number
  readonly #receivers = new CastReceivers()
  #told = 0
  #beacons = 0
  /** Beacons below this number follow each other soon. */
  #quickUntil = earlyBeacons
  #timer: Timer | undefined
  #number = 0
  /** Parallel: the last number at a moment. */
  readonly #numbers: number[] = []
  readonly #moments: number[] = []
  #passes = 0
  #run: CastRun | undefined
  #version = 0
  #state = 0
  #endSlot = 0
  #closed = false

  constructor(options: CastSenderOptions) {
    this.#options = options
    this.#clock = options.clock
    const { place, macFor, datagramBytes = 1400, random = randomBytes } = options
    this.#group = castGroup(place)
    this.place = printAddress(this.#group)
    this.#session = new DataView(random(4).buffer).getUint32(0)
    this.#nonce = random(castNonceBytes)
    this.#beaconMac = beaconMac(macFor, place)
    this.#macs = sessionMacs(macFor, place, this.#nonce)
    this.#buffer = new Uint8Array(datagramBytes)
    this.#pieceBytes = datagramBytes - castPieceHeadBytes - tagBytes
    for (const [road, socket] of options.sockets.entries()) {
      socket.attach({ datagram: (bytes) => this.#heard(bytes, road), closed: () => undefined })
    }
    this.#beacon()
  }

  get receivers(): number {
    return this.#receivers.count
  }

  /** What the pass under way may send, bytes/ms; for people and tests. */
  get rate(): number | undefined {
    return this.#run?.rate
  }

  async pass(pass: CastPass): Promise<CastReport> {
    if (this.#closed) throw new RdvError("closed")
    if (this.#run !== undefined) throw new RdvError("in_use", "A pass is under way")
    pass.signal.throwIfAborted()
    return new Promise<CastReport>((resolve, reject) => {
      const onAbort = () => run.stop(pass.signal.reason as Error)
      this.#passes = (this.#passes % 0xffff) + 1
      this.#version = pass.version
      this.#state = passRuns
      const begin = this.#clock.after(beginMs, () => run.start())
      const run = new CastRun({
        clock: this.#clock,
        pass,
        number: this.#passes,
        pieceBytes: this.#pieceBytes,
        receivers: this.#receivers,
        send: (piece, bytes) => this.#piece(piece, bytes),
        lastNumber: () => this.#number,
        onEnd: (result) => {
          begin.cancel()
          pass.signal.removeEventListener("abort", onAbort)
          this.#endSlot = run.slot
          this.#run = undefined
          this.#state = passOver
          this.#quickUntil = this.#beacons + earlyBeacons
          if (!this.#closed) this.#beacon()
          if (result instanceof Error) reject(result)
          else resolve(result)
        },
      })
      this.#run = run
      this.#receivers.begin()
      pass.signal.addEventListener("abort", onAbort, { once: true })
      this.#beacon()
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#timer?.cancel()
    this.#run?.stop(new RdvError("closed"))
    for (const socket of this.#options.sockets) socket.close()
  }

  #beacon(): void {
    this.#timer?.cancel()
    const now = this.#clock.now()
    this.#receivers.forget(now - awayMs)
    this.#tell()
    const run = this.#run
    const heard = this.#receivers.toName()
    const length = writeBeacon(this.#buffer, {
      session: this.#session,
      number: this.#beacons++,
      nonce: this.#nonce,
      pieceBytes: this.#pieceBytes,
      receivers: this.#receivers.count,
      pass: this.#passes,
      version: this.#version & 0xffff,
      flags: this.#state,
      slot: run?.slot ?? this.#endSlot,
      piece: run?.piece ?? 0,
      heard,
    })
    const datagram = seal(this.#beaconMac, this.#buffer, length)
    for (const socket of this.#options.sockets) socket.send(datagram, this.#group)
    const wait = run !== undefined ? passBeaconMs : this.#beacons < this.#quickUntil ? earlyBeaconMs : beaconMs
    // Somebody waits to hear that it was heard.
    this.#timer = this.#clock.after(heard.length > 0 ? Math.min(wait, earlyBeaconMs) : wait, () => this.#beacon())
  }

  /** Returns the bytes on the wire; 0: the system takes no more now. */
  #piece(piece: Omit<CastPiece, "session" | "number">, bytes: Uint8Array): number {
    const number = this.#number + 1
    const length = writePiece(this.#buffer, { ...piece, session: this.#session, number }, bytes)
    const datagram = seal(this.#macs.down, this.#buffer, length)
    let sent = 0
    const { sockets } = this.#options
    for (const [road, socket] of sockets.entries()) {
      if (sockets.length > 1 && !this.#isHeardOn(road)) continue
      if (socket.send(datagram, this.#group)) sent += datagram.length + headerBytes
    }
    if (sent === 0) return 0
    this.#number = number
    const now = this.#clock.now()
    if (this.#moments.at(-1) === now) this.#numbers[this.#numbers.length - 1] = number
    else {
      this.#numbers.push(number)
      this.#moments.push(now)
      if (this.#moments.length > mostMoments) {
        this.#numbers.splice(0, mostMoments / 2)
        this.#moments.splice(0, mostMoments / 2)
      }
    }
    return sent
  }

  #isHeardOn(road: number): boolean {
    return this.#roads.has(road)
  }

  readonly #roads = new Set<number>()

  #heard(bytes: Uint8Array, road: number): void {
    if (this.#closed || bytes.length < 14 + tagBytes || bytes[0] !== upKind || castSession(bytes) !== this.#session)
      return
    if (!isSealed(this.#macs.up, bytes)) return
    const here = readHere(bytes)
    if (here !== undefined) {
      if (here.highest > this.#number) return
      const now = this.#clock.now()
      const known = this.#receivers.heard(here, road, this.#lag(here.highest, now), now)
      this.#roads.add(road)
      this.#tell()
      // Soon, so that it knows.
      if (known !== undefined && known.named > 0 && this.#run === undefined) this.#hurry()
      return
    }
    const have = readHave(bytes)
    if (have !== undefined) {
      const known =
        have.pass === this.#passes && this.#run !== undefined ? this.#receivers.get(have.receiver) : undefined
      if (known !== undefined) this.#receivers.has(known, have.first, have.bits)
      return
    }
    const missing = readMissing(bytes)
    if (missing === undefined || missing.pass !== this.#passes || missing.highest > this.#number) return
    const known = this.#receivers.get(missing.receiver)
    if (known !== undefined && !this.#receivers.isHopeless(known)) this.#run?.missing(missing.slots, missing.highest)
  }

  #hurry(): void {
    if (this.#hurried) return
    this.#hurried = true
    this.#timer?.cancel()
    this.#timer = this.#clock.after(20, () => {
      this.#hurried = false
      this.#beacon()
    })
  }

  #hurried = false

  #tell(): void {
    if (this.#receivers.count === this.#told) return
    this.#told = this.#receivers.count
    this.#options.events.heard(this.#told)
  }

  /** Since the first piece behind `highest` was sent, ms. */
  #lag(highest: number, now: number): number {
    if (highest >= this.#number) return 0
    let low = 0
    let high = this.#numbers.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#numbers[middle] as number) > highest) high = middle
      else low = middle + 1
    }
    return now - (this.#moments[low] as number)
  }
}
