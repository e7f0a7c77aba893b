/**
 * The receiver's side of a cast. A beacon is answered, after a moment that chance chooses; when a later one names this
 * receiver, both know that they hear each other, and that no recording was played. During a pass it tells how far it is,
 * and what it lacks: after another moment that chance chooses, since somebody else may have asked and the repair goes to
 * all.
 */

import { randomBytes } from "../../../base/bytes.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import {
  castPieceHeadBytes,
  castSession,
  castTypes,
  downKind,
  hereComplete,
  hereConfirmed,
  passOver,
  passRuns,
  readBeacon,
  readPiece,
  writeHave,
  writeHere,
  writeMissing,
} from "./cast-packet.ts"
import type { Beacon } from "./cast-packet.ts"
import { beaconMac, castGroup, sessionMacs } from "./cast-place.ts"
import { CastSlots } from "./cast-slots.ts"
import type { CastListener, CastPlace, CastSink } from "./chunk-cast.ts"
import type { ChunkName } from "./chunk-path.ts"
import { isSealed, seal, tagBytes } from "./datagram-mac.ts"
import type { Mac, MacFor } from "./datagram-mac.ts"
import { printAddress } from "./datagram-socket.ts"
import type { DatagramAddress, DatagramSocket } from "./datagram-socket.ts"

export interface CastReceiverOptions {
  /** Hears the group; what it sends goes to one address. The receiver closes it. */
  readonly socket: DatagramSocket
  readonly place: CastPlace
  readonly sink: CastSink
  readonly clock: Clock
  readonly macFor: MacFor
  /** 0 up to and without 1, for moments. */
  readonly fraction?: () => number
  readonly random?: (count: number) => Uint8Array
}

const deafMs = 3_500
/** Answers to beacons without a pass are spread over so long. */
const answerMs = 200
/** Reports during a pass; with many receivers less often. */
const reportMs = 80
const reportMsPerReceiver = 0.5
/** What is missing is told after a chance part of this. */
const leastAskMs = 15
const askMs = 40
/** Until it is told again. */
const patienceMs = 120
const messageBytes = 1_200
/** What is there is told within so long, and once more after it. */
const haveMs = 40
/** Of a bitmap in one message, and in all. */
const haveBytes = 1_100
const mostHaveBytes = 64 * 1024

/** One life of a sender. */
interface Session {
  readonly id: number
  readonly nonce: Uint8Array
  readonly macs: { readonly down: Mac; readonly up: Mac }
  readonly from: DatagramAddress
  /** This receiver's name in it. */
  readonly receiver: number
  beacon: number
  confirmed: boolean
  heardAt: number
  highest: number
  received: number
  receivers: number
}

export class CastReceiver implements CastListener {
  readonly place: string
  readonly #options: CastReceiverOptions
  readonly #clock: Clock
  readonly #beaconMac: Mac
  readonly #fraction: () => number
  readonly #buffer = new Uint8Array(messageBytes)
  #session: Session | undefined
  #slots: CastSlots | undefined
  #endedPass = 0
  #receivedBytes = 0
  #hereTimer: Timer | undefined
  #askTimer: Timer | undefined
  #deafTimer: Timer | undefined
  readonly #haveTimers = new Set<Timer>()
  #closed = false

  constructor(options: CastReceiverOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#fraction = options.fraction ?? Math.random
    this.#beaconMac = beaconMac(options.macFor, options.place)
    this.place = printAddress(castGroup(options.place))
    options.socket.attach({
      datagram: (bytes, from) => this.#datagram(bytes, from),
      closed: () => this.#deaf(),
    })
  }

  get receivedBytes(): number {
    return this.#receivedBytes + (this.#slots?.receivedBytes ?? 0)
  }

  cancel(name: ChunkName): void {
    this.#slots?.cancel(name)
  }

  close(): void {
    if (this.#closed) return
    this.#forget()
    this.#closed = true
    this.#options.socket.close()
  }

  #datagram(bytes: Uint8Array, from: DatagramAddress): void {
    if (this.#closed || bytes.length < castPieceHeadBytes || bytes[0] !== downKind) return
    if (bytes[1] === castTypes.piece) this.#piece(bytes)
    else if (isSealed(this.#beaconMac, bytes)) {
      const beacon = readBeacon(bytes)
      if (beacon !== undefined) this.#beacon(beacon, from)
    }
  }

  #beacon(beacon: Beacon, from: DatagramAddress): void {
    const now = this.#clock.now()
    let session = this.#session
    if (session?.id !== beacon.session) {
      // A sender that is heard stays the one, until it is silent.
      if (session?.confirmed === true && now - session.heardAt < deafMs) return
      this.#forget()
      session = {
        id: beacon.session,
        nonce: beacon.nonce,
        macs: sessionMacs(this.#options.macFor, this.#options.place, beacon.nonce),
        from: { address: from.address, port: from.port },
        receiver: new DataView((this.#options.random ?? randomBytes)(4).buffer).getUint32(0),
        beacon: -1,
        confirmed: false,
        heardAt: now,
        highest: 0,
        received: 0,
        receivers: 0,
      }
      this.#session = session
    }
    // An old one, or the same on another way.
    if (beacon.number <= session.beacon || from.port !== session.from.port || from.address !== session.from.address)
      return
    session.beacon = beacon.number
    session.receivers = beacon.receivers
    session.heardAt = now
    this.#deafTimer ??= this.#clock.after(deafMs, () => this.#listenOn())
    if (!session.confirmed && beacon.heard.includes(session.receiver)) {
      session.confirmed = true
      this.#options.sink.heard()
    }
    if (session.confirmed && !this.#closed) this.#follow(beacon)
    if (this.#hereTimer === undefined && !this.#closed) {
      const most =
        this.#slots === undefined ? answerMs * Math.max(1, beacon.receivers / 200) : this.#reportEvery(session)
      // One that does not know whether it is heard answers at once: a pass may wait for it.
      const wait = session.confirmed || beacon.receivers > 200 ? most * this.#fraction() : 10 * this.#fraction()
      this.#hereTimer = this.#clock.after(wait, () => this.#here())
    }
  }

  /** A pass begins, goes on or ends. */
  #follow({ pass, version, flags, slot, piece, pieceBytes }: Beacon): void {
    if (pass === 0 || pass === this.#endedPass) return
    if (this.#slots !== undefined && this.#slots.pass !== pass) this.#endPass()
    if ((flags & passRuns) !== 0) {
      // Who comes late follows from here on.
      if (this.#slots === undefined) {
        this.#slots = new CastSlots(pass, version, pieceBytes, slot, this.#options.sink)
        // Twice, since one may be lost.
        for (const after of [0, haveMs]) {
          const timer = this.#clock.after(after + this.#fraction() * haveMs, () => {
            this.#haveTimers.delete(timer)
            this.#have()
          })
          this.#haveTimers.add(timer)
        }
      }
      this.#slots.advance(slot, piece)
      this.#lookForGaps()
    } else if ((flags & passOver) !== 0 && this.#slots !== undefined) this.#endPass()
  }

  #endPass(): void {
    const slots = this.#slots
    if (slots === undefined) return
    this.#slots = undefined
    this.#endedPass = slots.pass
    this.#receivedBytes += slots.receivedBytes
    this.#askTimer?.cancel()
    this.#askTimer = undefined
    slots.close()
    this.#options.sink.over(slots.version)
  }

  #piece(bytes: Uint8Array): void {
    const session = this.#session
    if (session?.confirmed !== true || castSession(bytes) !== session.id || !isSealed(session.macs.down, bytes)) return
    const head = readPiece(bytes)
    if (head === undefined) return
    session.received++
    session.highest = Math.max(session.highest, head.number)
    session.heardAt = this.#clock.now()
    const slots = this.#slots
    if (slots?.pass !== head.pass) return
    slots.piece(head, bytes.subarray(castPieceHeadBytes, bytes.length - tagBytes))
    this.#lookForGaps()
  }

  /** What the sender may leave out. */
  #have(): void {
    const session = this.#session
    const slots = this.#slots
    const bitmap = slots === undefined ? undefined : this.#options.sink.have?.(slots.version)
    if (session === undefined || slots === undefined || bitmap === undefined) return
    const { id, receiver, highest } = session
    for (let at = 0; at < Math.min(bitmap.length, mostHaveBytes); at += haveBytes) {
      const bits = bitmap.subarray(at, at + haveBytes)
      if (bits.every((byte) => byte === 0)) continue
      const have = { session: id, receiver, highest, pass: slots.pass, first: at * 8, bits }
      this.#send(session, writeHave(this.#buffer, have))
    }
  }

  #lookForGaps(): void {
    if (this.#askTimer !== undefined || this.#slots?.hasGaps !== true || this.#closed) return
    this.#askTimer = this.#clock.after(leastAskMs + this.#fraction() * askMs, () => {
      this.#askTimer = undefined
      this.#ask()
    })
  }

  #ask(): void {
    const session = this.#session
    const slots = this.#slots
    if (session === undefined || slots === undefined) return
    let missing = slots.missing(this.#clock.now(), patienceMs)
    while (missing.length > 0) {
      const message = { session: session.id, receiver: session.receiver, highest: session.highest, pass: slots.pass }
      const written = writeMissing(this.#buffer, { ...message, slots: missing }, messageBytes)
      if (written.slots === 0) break
      this.#send(session, written.length)
      missing = missing.slice(written.slots)
    }
    this.#lookForGaps()
  }

  #here(): void {
    this.#hereTimer = undefined
    const session = this.#session
    if (session === undefined) return
    const { id, receiver, highest, confirmed, received } = session
    const isComplete = this.#slots?.isComplete === true
    const flags = (confirmed ? hereConfirmed : 0) | (isComplete ? hereComplete : 0)
    this.#send(session, writeHere(this.#buffer, { session: id, receiver, highest, flags, received: received >>> 0 }))
    if (this.#slots !== undefined) this.#hereTimer = this.#clock.after(this.#reportEvery(session), () => this.#here())
  }

  #reportEvery({ receivers }: Session): number {
    return Math.max(reportMs, receivers * reportMsPerReceiver)
  }

  #send(session: Session, length: number): void {
    this.#options.socket.send(seal(session.macs.up, this.#buffer, length), session.from)
  }

  #listenOn(): void {
    this.#deafTimer = undefined
    const session = this.#session
    if (session === undefined) return
    const left = session.heardAt + deafMs - this.#clock.now()
    if (left <= 0.001) this.#deaf()
    else this.#deafTimer = this.#clock.after(left, () => this.#listenOn())
  }

  #deaf(): void {
    const wasHeard = this.#session?.confirmed === true
    this.#forget()
    if (wasHeard && !this.#closed) this.#options.sink.deaf()
  }

  #forget(): void {
    this.#slots?.close()
    this.#receivedBytes += this.#slots?.receivedBytes ?? 0
    this.#slots = undefined
    this.#endedPass = 0
    this.#session = undefined
    for (const timer of [this.#hereTimer, this.#askTimer, this.#deafTimer, ...this.#haveTimers]) timer?.cancel()
    this.#haveTimers.clear()
    this.#hereTimer = undefined
    this.#askTimer = undefined
    this.#deafTimer = undefined
  }
}
