/**
 * How fast a cast goes: as fast as nearly all receivers take it. Two signals of their reports: how long ago the newest
 * packet that they had seen was sent (a growing queue, before anything is lost), and the share that they have lost. The
 * worst quarter of four and more does not count: it is left to the normal way. Rates in bytes/ms.
 */

export interface ReceiverState {
  /** Since the newest packet that it had seen was sent, ms; of the last report. */
  lagMs: number
  /** Of the packets between its last reports, averaged. */
  loss: number
  /** Packets that went by it between its last reports, whether they arrived or not; per ms. */
  pace: number
  /** The number of the newest packet that it had seen. */
  highest: number
}

export interface RoundFacts {
  readonly actual: number
  readonly full: boolean
  readonly last: number
  readonly packetBytes: number
}

const startRate = 2_000
const leastRate = 100
const mostRate = 250_000
/** A process that shares its machine is behind by some ms without any queue. */
const calmLagMs = 40
const mostLagMs = 100
/** So much is lost on radio without any queue. */
const calmLoss = 0.04
const mostLoss = 0.08

export class CastRate {
  /** Bytes/ms. */
  rate: number
  readonly #most: number
  #isStarting = true
  /** Packets up to this one were sent at the rate before. */
  #before = -1

  /** `most`: a limit that was asked for. */
  constructor(most: number = mostRate) {
    this.#most = Math.min(mostRate, most)
    this.rate = Math.min(startRate, this.#most)
  }

  /**
   * Once per round of reports. `actual`: what went out, bytes/ms; `full`: the rate was what held the sender back; `last`: the
   * number of the packet that was sent last, `packetBytes` its size.
   */
  adapt(receivers: readonly ReceiverState[], { actual, full, last, packetBytes }: RoundFacts): void {
    const count = receivers.length
    if (count === 0) return
    const counted = count < 4 ? count : Math.ceil(count * 0.75)
    // What they tell may still be of the rate before: a queue takes its time to go.
    if (receivers.filter(({ highest }) => highest > this.#before).length < counted) return
    const at = (values: number[]) => values.toSorted((a, b) => a - b)[counted - 1] as number
    const lag = at(receivers.map(({ lagMs }) => lagMs))
    const loss = at(receivers.map((each) => each.loss))
    if (lag > mostLagMs || loss > mostLoss) {
      this.#isStarting = false
      this.#before = last
      // Below what has come through, so that the queue goes.
      const through = -at(receivers.map(({ pace }) => -pace)) * packetBytes
      this.rate = Math.max(leastRate, Math.min(this.rate, actual, through > 0 ? through : Infinity) * 0.75)
    } else if (lag > calmLagMs || loss > calmLoss) this.#isStarting = false
    // No further ahead of what goes out than the next round can tell.
    else if (full && this.rate < actual * 2) {
      this.rate = Math.min(this.#most, this.rate * (this.#isStarting ? 1.6 : 1.12))
    }
  }
}
