/**
 * Packets that were sent and are not acknowledged: round trips (RFC 6298 as RFC 9002 section 5 has it), and which of them
 * are lost (section 6): some later packet has arrived, and so many packets or so much time lies between. The number of
 * packets grows when a loss turns out to have been mere disorder. Times in ms.
 */

/** What a packet carried, to be sent again. */
export interface SentPacket {
  readonly number: number
  readonly at: number
  readonly bytes: number
  /** A try of a larger size: its loss says nothing about congestion. */
  readonly probe: boolean
  /** A piece, as its transfer's number and bytes. */
  readonly transfer: number | undefined
  readonly from: number
  readonly to: number
  /** Sequence numbers of controls. */
  readonly controls: readonly number[]
}

export interface FlightEvents {
  arrived(packet: SentPacket): void
  lost(packet: SentPacket): void
  /** It had not been lost after all. */
  spurious(packet: SentPacket): void
}

/** What the other side may wait before it acknowledges. */
export const mostAckDelayMs = 4
const firstRttMs = 100
const timerMs = 2
const fewestDisorder = 3
const mostDisorder = 256
/** Lost packets that are remembered, to notice that they were not. */
const mostRemembered = 512

export class Flight {
  /** Bytes under way. */
  bytes = 0
  /** Smoothed. */
  rttMs: number | undefined
  /** Probes since something was acknowledged. */
  probes = 0
  /** The highest number that was acknowledged. */
  highest = -1
  #latestRttMs = 0
  #variance = firstRttMs / 2
  #disorder = fewestDisorder
  #lossAt = Infinity
  #lastSentAt = 0
  readonly #sent = new Map<number, SentPacket>()
  readonly #lost = new Map<number, SentPacket>()

  get isEmpty(): boolean {
    return this.#sent.size === 0
  }

  /** The oldest that is under way. */
  get oldest(): SentPacket | undefined {
    return this.#sent.values().next().value
  }

  sent(packet: SentPacket): void {
    this.#sent.set(packet.number, packet)
    this.bytes += packet.bytes
    this.#lastSentAt = packet.at
  }

  /** Returns how many packets and bytes are new; `highest` is of them, or -1; `sampleMs` when it measures the way. */
  acked(
    ranges: readonly (readonly [from: number, to: number])[],
    delayMs: number,
    now: number,
    events: FlightEvents,
  ): {
    readonly packets: number
    readonly bytes: number
    readonly highest: number
    readonly sampleMs: number | undefined
  } {
    let packets = 0
    let bytes = 0
    let highest = -1
    let newest: SentPacket | undefined
    for (const [from, to] of ranges) {
      const lowest = this.oldest?.number
      for (let number = Math.max(from, lowest ?? to); number < to; number++) {
        const packet = this.#sent.get(number)
        if (packet === undefined) continue
        this.#sent.delete(number)
        this.bytes -= packet.bytes
        packets++
        bytes += packet.bytes
        if (number > highest) {
          highest = number
          newest = packet
        }
        events.arrived(packet)
      }
      for (const packet of this.#lost.values()) {
        if (packet.number < from || packet.number >= to) continue
        this.#lost.delete(packet.number)
        this.#disorder = Math.min(mostDisorder, Math.max(this.#disorder, this.highest - packet.number + 1))
        events.spurious(packet)
      }
    }
    // Only what the other side answered to with this very packet measures the way.
    const sampleMs = newest !== undefined && highest > this.highest ? now - newest.at : undefined
    if (sampleMs !== undefined) this.#measure(sampleMs, Math.min(delayMs, mostAckDelayMs))
    this.highest = Math.max(this.highest, (ranges[0]?.[1] ?? 0) - 1)
    if (packets > 0) this.probes = 0
    return { packets, bytes, highest, sampleMs }
  }

  /** Finds what is lost by now. */
  detect(now: number, events: FlightEvents): void {
    this.#lossAt = Infinity
    const patience = Math.max(timerMs, (Math.max(this.rttMs ?? firstRttMs, this.#latestRttMs) * 9) / 8)
    for (const packet of this.#sent.values()) {
      if (packet.number > this.highest) break
      if (this.highest - packet.number >= this.#disorder || packet.at + patience <= now) {
        this.#sent.delete(packet.number)
        this.bytes -= packet.bytes
        if (this.#lost.size >= mostRemembered) this.#lost.delete(this.#lost.keys().next().value as number)
        this.#lost.set(packet.number, packet)
        events.lost(packet)
      } else {
        this.#lossAt = Math.min(this.#lossAt, packet.at + patience)
      }
    }
  }

  /** When `detect` finds something without another acknowledgement. */
  get lossAt(): number {
    return this.#lossAt
  }

  /** When silence asks for a probe (RFC 9002 section 6.2). */
  get probeAt(): number {
    if (this.#sent.size === 0) return Infinity
    const wait = (this.rttMs ?? firstRttMs) + Math.max(4 * this.#variance, timerMs) + mostAckDelayMs + timerMs
    return this.#lastSentAt + wait * 2 ** Math.min(this.probes, 6)
  }

  /** All that is under way, as lost: nothing has been heard for long. */
  *forget(): Iterable<SentPacket> {
    for (const packet of this.#sent.values()) yield packet
    this.#sent.clear()
    this.bytes = 0
  }

  #measure(sample: number, delayMs: number): void {
    this.#latestRttMs = sample
    const adjusted = sample > delayMs * 2 ? sample - delayMs : sample
    if (this.rttMs === undefined) {
      this.rttMs = adjusted
      this.#variance = adjusted / 2
    } else {
      this.#variance = 0.75 * this.#variance + 0.25 * Math.abs(this.rttMs - adjusted)
      this.rttMs = 0.875 * this.rttMs + 0.125 * adjusted
    }
  }
}
