/**
 * A path of chunks over datagrams, where no connection comes through but UDP does. It brings its own order, recovery of
 * losses (RFC 9002 in spirit), pacing and congestion response; chunks arrive in any order, so that one lost packet holds
 * up its own chunk and no other. Every packet is authenticated and counts once. Memory is bounded by what the sinks give
 * and by windows.
 *
 *     send ─▶ outbox ─┐                                    ┌─▶ inbox ─▶ sink
 *     ask, … ─▶ outbox┴─(window, pace)─▶ packet ─▶ datagram ┴─▶ flight: arrived, lost ─▶ outbox
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { codeFromNumber, codeNumber, RdvError } from "../../../base/error.ts"
import type { ChunkName, ChunkPath, ChunkPathSink, Refusal } from "./chunk-path.ts"
import { Congestion } from "./datagram-congestion.ts"
import { Flight } from "./datagram-flight.ts"
import type { FlightEvents, SentPacket } from "./datagram-flight.ts"
import { Inbox } from "./datagram-inbox.ts"
import { isSealed, seal, tagBytes } from "./datagram-mac.ts"
import type { Mac } from "./datagram-mac.ts"
import { Outbox, Outgoing } from "./datagram-outbox.ts"
import { controlBytes, flagAckNow, PacketWriter, pieceHeadBytes, readFrames, readHead } from "./datagram-packet.ts"
import type { Control, PacketReader } from "./datagram-packet.ts"
import { Pacer } from "./datagram-pacer.ts"
import { Receipts } from "./datagram-receipts.ts"
import { largestSealed, refusalFrom, refusalNumber } from "./piece-frames.ts"

export interface DatagramPathOptions {
  readonly clock: Clock
  /** `udp`. */
  readonly over: string
  readonly peer: string
  /** What the other side calls this path. */
  readonly path: number
  readonly outMac: Mac
  readonly inMac: Mac
  /** False: it was not sent. */
  readonly transmit: (datagram: Uint8Array) => boolean
  /** The path is over and sends nothing any more. */
  readonly onEnd: () => void
  /** Payload of a datagram that every way carries. Default 1,200. */
  readonly safeBytes?: number
  /** What is tried once the path is up. Default 1,400. */
  readonly largestBytes?: number
  /** The path ends when nothing was heard for so long. Default 15,000. */
  readonly silentMs?: number
  /** `send` answers false from so much on. Default 1 MiB. */
  readonly highWaterBytes?: number
  /** Most that is under way, bytes. Default 8 MiB. */
  readonly windowBytes?: number
}

/** Packets that are kept until a sink is attached. */
const mostEarly = 64
const mostProbes = 3
/** Whoever sends on after `false` has a fault; so many bytes show it. */
const mostQueuedBytes = 256 * 1_048_576
/** Sent in one go; the loop of the process has other work. */
const mostAtOnce = 128
/** A path of which a number is used twice would be forged: it ends before. */
const mostPackets = 0xffff_fff0
const mtuTries = 3
/** Packets; several acknowledgements come within it. */
const largeWindow = 128
/** Pieces wait for room of at least so many bytes in a packet that is begun. */
const leastPiece = 64

export class DatagramPath implements ChunkPath {
  readonly kind = "datagram"
  readonly over: string
  readonly peer: string
  readonly #options: DatagramPathOptions
  readonly #clock: Clock
  readonly #outbox = new Outbox()
  readonly #inbox = new Inbox()
  readonly #flight = new Flight()
  readonly #congestion: Congestion
  readonly #pacer: Pacer
  readonly #writer: PacketWriter
  #sink: ChunkPathSink | undefined
  readonly #early: Uint8Array[] = []
  #number = 0
  #bytes: number
  #mtuTries = 0
  #mtuAt = 0
  readonly #receipts = new Receipts()
  #heardAt: number
  #saidAt: number
  #pingDue = false
  /** The window held the sender back since the last acknowledgement. */
  #full = false
  #waitsForReady = false
  #closing = false
  #endSaid = false
  #over = false
  #told: { readonly error: RdvError | undefined } | undefined
  #flushing = false
  #timer: Timer | undefined
  #timerAt = Infinity

  constructor(options: DatagramPathOptions) {
    this.#options = options
    this.over = options.over
    this.peer = options.peer
    this.#clock = options.clock
    this.#bytes = options.safeBytes ?? 1200
    const largest = Math.max(this.#bytes, options.largestBytes ?? 1400)
    this.#writer = new PacketWriter(largest)
    this.#congestion = new Congestion(this.#bytes, options.windowBytes ?? 8 * 1024 * 1024)
    this.#pacer = new Pacer(this.#bytes)
    const now = this.#clock.now()
    this.#heardAt = now
    this.#saidAt = now
    this.#arm(now)
  }

  get queuedBytes(): number {
    return this.#outbox.pendingBytes
  }

  get rttMs(): number | undefined {
    return this.#flight.rttMs
  }

  get sentBytes(): number {
    return this.#outbox.sentBytes
  }

  get receivedBytes(): number {
    return this.#inbox.receivedBytes
  }

  /** Payload of the datagrams that are sent, for people and tests. */
  get datagramBytes(): number {
    return this.#bytes
  }

  attach(sink: ChunkPathSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (!isFirst) return
    if (this.#told !== undefined) {
      sink.closed(this.#told.error)
      return
    }
    queueMicrotask(() => {
      for (const datagram of this.#early.splice(0)) this.datagram(datagram)
    })
  }

  /** Throws `usage` and `too_large` for what is no chunk. */
  send(name: ChunkName, sealed: Uint8Array, sent?: () => void): boolean {
    if (sealed.length === 0) throw new RdvError("usage", "A chunk of 0 bytes cannot be sent")
    if (sealed.length > largestSealed) throw new RdvError("too_large", `A chunk of ${sealed.length} bytes is too large`)
    if (this.#over || this.#closing) {
      sent?.()
      return false
    }
    this.#outbox.chunk(new Outgoing(name, sealed, sent))
    if (this.queuedBytes > mostQueuedBytes) {
      this.abort(new RdvError("limit", `More than ${mostQueuedBytes} bytes wait for ${this.peer}`))
      return false
    }
    this.#flush()
    if (this.queuedBytes < this.#highWater) return true
    this.#waitsForReady = true
    return false
  }

  ask(name: ChunkName): void {
    this.#say({ kind: "ask", why: 0, version: name.version, subject: name.chunk })
  }

  cancel(name: ChunkName): void {
    this.#say({ kind: "cancel", why: 0, version: name.version, subject: name.chunk })
  }

  refuse(name: ChunkName, why: Refusal): void {
    this.#say({ kind: "refuse", why: refusalNumber(why), version: name.version, subject: name.chunk })
  }

  /** Something to be acknowledged, so that the other side knows that the path is up. */
  ping(): void {
    this.#pingDue = true
    this.#flush()
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#flush()
  }

  abort(error: RdvError): void {
    if (this.#over) return
    this.#sayClose(codeNumber(error.code))
    this.#end(error)
  }

  /** A datagram with this path's number has come. False when it is not authentic, or was here before. */
  datagram(datagram: Uint8Array): boolean {
    const head = readHead(datagram)
    if (this.#over || head === undefined || !isSealed(this.#options.inMac, datagram)) return false
    if (this.#sink === undefined) {
      if (this.#early.length < mostEarly) this.#early.push(datagram.slice())
      return true
    }
    const now = this.#clock.now()
    if (!this.#receipts.take(head.number, now)) return false
    this.#heardAt = now
    const wasFlushing = this.#flushing
    this.#flushing = true
    try {
      const eliciting = readFrames(datagram, this.#reader)
      if (eliciting) this.#receipts.owe(head.number, (head.flags & flagAckNow) !== 0, now)
    } catch (error) {
      if (!(error instanceof RdvError)) throw error
      this.abort(error)
    } finally {
      this.#flushing = wasFlushing
    }
    this.#flush()
    return true
  }

  readonly #reader: PacketReader = {
    ping: () => undefined,
    ack: (ranges, delayMs) => this.#acked(ranges, delayMs),
    control: (sequence, control) => this.#inbox.control(sequence, control, (next) => this.#heard(next)),
    piece: (head, bytes) => {
      if (this.#over) return
      this.#inbox.piece(head, bytes, this.#sink as ChunkPathSink, (transfer) =>
        this.#say({ kind: "stop", why: 0, version: 0, subject: transfer }),
      )
    },
    close: (code) => {
      this.#end(code === 0 ? undefined : new RdvError(codeFromNumber(code), undefined, { origin: "remote" }))
    },
  }

  readonly #events: FlightEvents = {
    arrived: (packet) => this.#arrived(packet),
    spurious: (packet) => this.#arrived(packet),
    lost: (packet) => {
      if (!packet.probe) this.#congestion.lost(packet.number, this.#number, this.#clock.now())
      this.#again(packet)
    },
  }

  get #highWater(): number {
    return this.#options.highWaterBytes ?? 1_048_576
  }

  get #silentMs(): number {
    return this.#options.silentMs ?? 15_000
  }

  #say(control: Control): void {
    if (this.#over || this.#closing) return
    try {
      this.#outbox.control(control)
    } catch (error) {
      this.abort(error as RdvError)
      return
    }
    this.#flush()
  }

  #heard({ kind, why, version, subject }: Control): void {
    const sink = this.#sink
    if (sink === undefined || this.#over) return
    const name: ChunkName = { version, chunk: subject }
    if (kind === "ask") sink.asked(name)
    else if (kind === "cancel") {
      this.#outbox.cancel(name)
      sink.cancelled(name)
    } else if (kind === "refuse") sink.refused(name, refusalFrom(why))
    else if (kind === "stop") this.#outbox.stopped(subject)
    else {
      this.#sayClose(0)
      this.#end(undefined)
    }
  }

  #acked(ranges: readonly (readonly [from: number, to: number])[], delayMs: number): void {
    const now = this.#clock.now()
    if ((ranges[0]?.[1] ?? 0) > this.#number)
      throw new RdvError("protocol", "A packet is acknowledged that was not sent")
    const { packets, bytes, highest, sampleMs } = this.#flight.acked(ranges, delayMs, now, this.#events)
    this.#flight.detect(now, this.#events)
    if (packets === 0) return
    this.#congestion.acked({ bytes, packets, highest, next: this.#number, sampleMs, now, full: this.#full })
    this.#full = false
    const { rttMs } = this.#flight
    if (rttMs !== undefined) this.#pacer.rate(this.#congestion.window, rttMs, this.#congestion.isSlowStart)
  }

  #arrived(packet: SentPacket): void {
    if (packet.probe && packet.bytes > this.#bytes) this.#bytes = packet.bytes
    for (const sequence of packet.controls) this.#outbox.controlArrived(sequence)
    if (packet.transfer !== undefined) this.#outbox.pieceArrived(packet.transfer, packet.from, packet.to)
  }

  #again(packet: SentPacket): void {
    for (const sequence of packet.controls) this.#outbox.controlLost(sequence)
    if (packet.transfer !== undefined) this.#outbox.pieceLost(packet.transfer, packet.from, packet.to)
  }

  /** Sends what may be sent, and sets the timer for what may be later. */
  #flush(): void {
    if (this.#flushing || this.#over) return
    this.#flushing = true
    const now = this.#clock.now()
    let pause = 0
    for (let sent = 0; !this.#over; sent++) {
      const room = this.#flight.bytes + this.#bytes <= this.#congestion.window
      if (this.#outbox.hasPieces && !room) this.#full = true
      let pieces = this.#outbox.hasPieces && room
      if (pieces) {
        pause = this.#pacer.waitMs(now)
        // A socket's worth of packets, and the rest in a moment.
        if (sent >= mostAtOnce) pause = Math.max(pause, 0.01)
        pieces = pause === 0
        // Held back by the pace, which follows from the window.
        if (!pieces && this.#flight.bytes * 2 > this.#congestion.window) this.#full = true
      }
      if (!pieces && !this.#outbox.hasControls && !this.#pingDue) break
      if (!this.#packet(now, pieces)) {
        pause = 1
        break
      }
    }
    if (!this.#over && this.#receipts.dueAt <= now) this.#packet(now, false)
    this.#flushing = false
    if (this.#over) return
    this.#proceed(now)
    this.#arm(now, pause > 0 ? now + pause : Infinity)
  }

  /** What follows when something has been sent or has arrived. */
  #proceed(now: number): void {
    if (this.#waitsForReady && this.queuedBytes < this.#highWater) {
      this.#waitsForReady = false
      this.#sink?.ready()
    }
    if (this.#closing && !this.#endSaid && this.#outbox.isEmpty) {
      this.#endSaid = true
      // Everything has arrived: the end is told last, and answered by the other side's close.
      this.#outbox.control({ kind: "end", why: 0, version: 0, subject: 0 })
      this.#packet(now, false)
    }
    if (!this.#closing) this.#tryLarger(now)
  }

  /** One packet of what is due. False when the system did not take it. */
  #packet(now: number, pieces: boolean): boolean {
    if (this.#number >= mostPackets) {
      this.#end(new RdvError("link_lost", "A path has sent all packets that it can number"))
      return true
    }
    const writer = this.#writer
    const number = this.#number++
    writer.begin(this.#options.path, number, this.#bytes)
    this.#receipts.write(writer, now)
    let eliciting = this.#pingDue
    if (this.#pingDue) writer.ping()
    this.#pingDue = false
    const controls: number[] = []
    while (writer.room >= controlBytes) {
      const next = this.#outbox.nextControl()
      if (next === undefined) break
      writer.control(...next)
      controls.push(next[0])
    }
    let transfer: number | undefined
    let [from, to] = [0, 0]
    if (pieces && writer.room >= pieceHeadBytes + leastPiece) {
      const piece = this.#outbox.nextPiece(writer.room - pieceHeadBytes)
      if (piece !== undefined) {
        const { outgoing } = piece
        ;({ from, to } = piece)
        transfer = outgoing.transfer
        const { version, chunk } = outgoing.name
        const head = { transfer, version: version & 0xffff, chunk, length: outgoing.bytes.length, offset: from }
        writer.piece(head, outgoing.bytes.subarray(from, to))
      }
    }
    eliciting ||= controls.length > 0 || transfer !== undefined
    if (!eliciting) {
      this.#transmit()
      return true
    }
    const bytes = writer.length + tagBytes
    // Nothing follows soon: the answer shall not wait for more. A large window is acknowledged often enough by itself.
    const { window } = this.#congestion
    const last =
      !this.#outbox.hasPieces || (window < largeWindow * bytes && this.#flight.bytes + bytes + this.#bytes > window)
    if (last || this.#flight.probes > 0) writer.flag(flagAckNow)
    this.#flight.sent({ number, at: now, bytes, probe: false, transfer, from, to, controls })
    this.#saidAt = now
    if (transfer !== undefined) this.#pacer.sent(bytes)
    return this.#transmit()
  }

  #transmit(): boolean {
    const { buffer, length } = this.#writer
    return this.#options.transmit(seal(this.#options.outMac, buffer, length))
  }

  /** RFC 8899: a packet of the larger size that nobody misses when it is lost. */
  #tryLarger(now: number): void {
    const largest = this.#options.largestBytes ?? 1400
    if (this.#bytes >= largest || this.#mtuTries >= mtuTries || now < this.#mtuAt || this.#flight.rttMs === undefined)
      return
    this.#mtuTries++
    this.#mtuAt = now + 1000 * this.#mtuTries
    const number = this.#number++
    this.#writer.begin(this.#options.path, number, largest)
    this.#writer.flag(flagAckNow)
    this.#writer.ping()
    this.#writer.pad()
    this.#flight.sent({
      number,
      at: now,
      bytes: largest,
      probe: true,
      transfer: undefined,
      from: 0,
      to: 0,
      controls: [],
    })
    this.#transmit()
  }

  #beat(): void {
    this.#timer = undefined
    this.#timerAt = Infinity
    if (this.#over) return
    const now = this.#clock.now()
    if (this.#heardAt + this.#silentMs <= now) {
      const seconds = Math.round(this.#silentMs / 1000)
      this.#end(new RdvError("timeout", `Nothing came from ${this.peer} for ${seconds} s`))
      return
    }
    if (this.#flight.lossAt <= now) this.#flight.detect(now, this.#events)
    if (this.#flight.probeAt <= now) this.#probe(now)
    else if (this.#saidAt + this.#silentMs / 3 <= now) this.#pingDue = true
    this.#flush()
  }

  #probe(now: number): void {
    this.#flight.probes++
    // All has arrived, and the other side's last word was lost.
    if (this.#endSaid && this.#flight.probes >= mostProbes) {
      this.#end(undefined)
      return
    }
    if (this.#flight.probes >= 2 && this.#bytes > (this.#options.safeBytes ?? 1200)) {
      // Perhaps what is large is dropped: a black hole, which only silence shows.
      this.#bytes = this.#options.safeBytes ?? 1200
      this.#mtuTries = mtuTries
    }
    if (this.#flight.probes >= mostProbes) {
      this.#congestion.collapse(now)
      for (const packet of this.#flight.forget()) this.#again(packet)
    } else if (this.#flight.oldest !== undefined) this.#again(this.#flight.oldest)
    this.#pingDue = true
    if (this.#outbox.hasPieces || this.#outbox.hasControls) this.#packet(now, true)
  }

  #arm(now: number, pausedUntil: number = Infinity): void {
    const idleAt = Math.min(this.#heardAt + this.#silentMs, this.#saidAt + this.#silentMs / 3)
    const at = Math.min(pausedUntil, this.#receipts.dueAt, this.#flight.lossAt, this.#flight.probeAt, idleAt)
    // A timer that fires too soon looks again; most deadlines move on before they are reached.
    if (at >= this.#timerAt) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = this.#clock.after(Math.max(0, at - now), () => this.#beat())
  }

  #sayClose(code: number): void {
    this.#writer.begin(this.#options.path, this.#number++, this.#bytes)
    this.#writer.close(code)
    this.#transmit()
  }

  #end(error: RdvError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#early.length = 0
    this.#told = { error }
    this.#inbox.clear()
    this.#outbox.clear()
    this.#options.onEnd()
    this.#sink?.closed(error)
  }
}
