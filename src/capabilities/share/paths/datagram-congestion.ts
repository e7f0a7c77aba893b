/**
 * How much may be under way at once. The window grows as CUBIC does (RFC 9438), but the signals are others:
 *
 * - **Delay**: the fastest packet of a whole round took as long again as the idle way takes, and 10 to 25 ms in any case:
 *   there is a queue, and it is ours. Chunks are bulk; a call or a game on the same line shall not wait behind them.
 * - **Loss that chance does not explain**, where 2 % are lost by chance: 6 of 128 packets, 10 of 256. One lost packet means
 *   nothing on radio and on a busy host's socket buffer; a controller that halves at each (Reno, CUBIC) gets 1 packet / RTT ×
 *   1.2 / √loss, at 1 % and 40 ms some 400 KB/s whatever the line can do. BBR draws the line at 2 % likewise.
 * - **Silence**: three probes in a row without an answer.
 *
 * Purely delay-based controllers (Copa, LEDBAT) were not taken: timers and the loop of a busy process add milliseconds,
 * which is more than the delay that they steer by on a LAN. The minimum over a round and these targets stand that.
 * Sizes in bytes, times in ms.
 */

const startPackets = 32
const fewestPackets = 4
/** What the idle way takes, within these. */
const leastTargetMs = 10
const mostTargetMs = 25
const beta = 0.7
const cubicC = 0.4
/** A loss signal needs so many packets to be more than chance. */
const lossSample = 128
const lossShare = 0.02
/** For so long the fastest packet counts as the idle way; then the window shrinks for a round to see it again. */
const baseMs = 10_000

export interface Acknowledged {
  readonly bytes: number
  readonly packets: number
  /** The highest number of them. */
  readonly highest: number
  /** The number of the next packet to be sent. */
  readonly next: number
  /** A round trip, if it was measured. */
  readonly sampleMs: number | undefined
  readonly now: number
  /** The window was what held the sender back. */
  readonly full: boolean
}

export class Congestion {
  /** Bytes; bounded. */
  window: number
  readonly #packet: number
  readonly #mostBytes: number
  #slowStart = true
  /** CUBIC: the window before the last reduction, and when that was. */
  #top = 0
  #since = 0
  #base = Infinity
  #baseAt = 0
  #drain: { readonly until: number; readonly window: number } | undefined
  /** The round that runs: ends when the packet of this number is acknowledged. */
  #roundEnd = 0
  #roundStart = 0
  /** Packets below this number were sent before the last reduction, and tell nothing about the window behind it. */
  #recovery = 0
  #roundRtt = Infinity
  #lastRoundRtt = Infinity
  #acked = 0
  #lost = 0

  constructor(packetBytes: number, mostBytes: number) {
    this.#packet = packetBytes
    this.#mostBytes = mostBytes
    this.window = startPackets * packetBytes
  }

  get isSlowStart(): boolean {
    return this.#slowStart
  }

  /** Something has arrived. */
  acked({ bytes, packets, highest, next, sampleMs, now, full }: Acknowledged): void {
    const rttMs = sampleMs ?? Infinity
    this.#acked += packets
    if (rttMs < this.#base) {
      this.#base = rttMs
      this.#baseAt = now
    }
    this.#roundRtt = Math.min(this.#roundRtt, rttMs)
    if (full && this.#drain === undefined) this.#grow(bytes, now)
    if (highest >= this.#roundEnd) this.#endRound(next, now)
  }

  lost(number: number, next: number, now: number): void {
    // It was under way before the window shrank.
    if (number < this.#recovery) return
    this.#lost++
    const seen = this.#acked + this.#lost
    const byChance = seen * lossShare
    if (seen >= lossSample && this.#lost > byChance + 2 * Math.sqrt(byChance)) this.#reduce(beta, next, now)
  }

  /** Nothing answers: what was believed about the way is void. */
  collapse(now: number): void {
    this.#top = this.window
    this.window = fewestPackets * this.#packet
    this.#slowStart = true
    this.#since = now
    this.#drain = undefined
  }

  #grow(bytes: number, now: number): void {
    if (this.#slowStart) {
      this.#set(this.window + bytes)
      return
    }
    const seconds = (now - this.#since) / 1000
    const top = this.#top / this.#packet
    const k = Math.cbrt((top * (1 - beta)) / cubicC)
    const rtt = Math.min(this.#lastRoundRtt, 1000) / 1000
    const cubic = (cubicC * (seconds + rtt - k) ** 3 + top) * this.#packet
    // RFC 9438 section 4.3: never slower than Reno would be.
    const reno = (bytes * this.#packet * ((3 * (1 - beta)) / (1 + beta))) / this.window
    const target = Math.min(Math.max(cubic, this.window), this.window * 1.5)
    this.#set(this.window + Math.max(((target - this.window) * bytes) / this.window, reno))
  }

  #endRound(next: number, now: number): void {
    const rtt = this.#roundRtt
    const queue = rtt - this.#base
    const current = this.#roundStart >= this.#recovery
    this.#roundStart = this.#roundEnd
    this.#roundEnd = next
    this.#roundRtt = Infinity
    // Nothing in it was measured.
    if (rtt === Infinity) return
    this.#lastRoundRtt = rtt
    if (this.#acked + this.#lost > lossSample * 2) {
      this.#acked /= 2
      this.#lost /= 2
    }
    const target = Math.min(mostTargetMs, Math.max(leastTargetMs, this.#base))
    if (this.#drain !== undefined) {
      if (now < this.#drain.until) return
      this.window = this.#drain.window
      this.#drain = undefined
      this.#recovery = next
    } else if (now - this.#baseAt > baseMs && queue > 1) {
      this.#drain = { until: now + rtt, window: this.window }
      this.window = Math.max(fewestPackets * this.#packet, (this.window * this.#base) / rtt / 2)
      this.#baseAt = now
      this.#base = rtt
    } else if (queue > target && current) {
      // With next to nothing under way the queue is not ours: that is how long the way is now.
      if (this.window <= 2 * fewestPackets * this.#packet) this.#base = rtt
      // Down to a quarter of the target.
      else this.#reduce(Math.min(beta, (this.#base + target / 4) / rtt), next, now)
    } else if (this.#slowStart && queue > Math.min(target / 2, Math.max(4, this.#base / 8))) {
      // HyStart (RFC 9406): the line is full before anything is lost.
      this.#slowStart = false
      this.#top = this.window
      this.#since = now
    }
  }

  #reduce(factor: number, next: number, now: number): void {
    // RFC 9438 section 4.7: whoever had less than before makes room for others.
    this.#top = this.window < this.#top ? (this.window * (1 + beta)) / 2 : this.window
    this.#slowStart = false
    this.#since = now
    this.#acked = 0
    this.#lost = 0
    this.#drain = undefined
    this.#recovery = next
    this.#set(this.window * factor)
  }

  #set(window: number): void {
    this.window = Math.min(this.#mostBytes, Math.max(fewestPackets * this.#packet, window))
  }
}
