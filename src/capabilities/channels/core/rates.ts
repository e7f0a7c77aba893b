/** Messages per second in and out: of the last second, and a mean that forgets over about a minute. */

/** The weight of a second: 60 of them leave about a third of an old value, as the load average of a minute. */
const weight = 1 - Math.exp(-1 / 60)

export class Rates {
  /** Messages taken from senders in the last second. */
  received = 0
  /** Messages proven in the last second. */
  delivered = 0
  meanReceived = 0
  meanDelivered = 0
  #lastReceived = 0
  #lastDelivered = 0

  /** Once a second, with the counts so far. */
  tick(received: number, delivered: number): void {
    // A withdrawn message was counted and is not any more.
    this.received = Math.max(0, received - this.#lastReceived)
    this.delivered = delivered - this.#lastDelivered
    this.#lastReceived = received
    this.#lastDelivered = delivered
    this.meanReceived += weight * (this.received - this.meanReceived)
    this.meanDelivered += weight * (this.delivered - this.meanDelivered)
  }
}
