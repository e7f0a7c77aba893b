/**
 * A network on which connections are made as WebRTC makes them, without any: descriptions carry a fingerprint, and two ends
 * meet only when each was told the other one's and an address of it. Tests cut what they like.
 */

import { RdvError } from "../../src/base/error.ts"
import type { RtcCandidate, RtcConnection, RtcFactory, RtcHeard } from "../../src/capabilities/tab/peers/rtc.ts"
import { FakeChannel } from "./data-channels.ts"

export class RtcNet {
  /** By fingerprint. */
  readonly ends: Map<string, RtcEnd> = new Map()
  /** Nothing gets through. */
  isBlocked = false
  /** Connections that came about. */
  made = 0
  #last = 0

  machine(): RtcFactory {
    return { connect: (heard) => new RtcEnd(this, `FINGER:${++this.#last}`, heard) }
  }

  /** Connections are lost, as when a network goes: both sides are told by their channels. */
  cut(): void {
    for (const { channelEnd } of this.ends.values()) channelEnd.end()
  }

  /** Packets are lost, and nobody is told. */
  silence(): void {
    for (const { channelEnd } of this.ends.values()) channelEnd.isSilent = true
  }

  get open(): number {
    return this.ends.size
  }

  meet(one: RtcEnd): void {
    const other = this.ends.get(one.wants)
    if (this.isBlocked || other === undefined || other.wants !== one.fingerprint) return
    if (one.candidates === 0 || other.candidates === 0 || one.channelEnd.other !== undefined) return
    one.channelEnd.other = other.channelEnd
    other.channelEnd.other = one.channelEnd
    this.made++
    setImmediate(() => {
      one.channelEnd.open()
      other.channelEnd.open()
    })
  }
}

class RtcEnd implements RtcConnection {
  readonly fingerprint: string
  readonly channel: Promise<FakeChannel>
  readonly channelEnd: FakeChannel = new FakeChannel({ isConnecting: true })
  wants = ""
  candidates = 0
  readonly #net: RtcNet
  readonly #heard: RtcHeard

  constructor(net: RtcNet, fingerprint: string, heard: RtcHeard) {
    this.#net = net
    this.#heard = heard
    this.fingerprint = fingerprint
    this.channel = Promise.resolve(this.channelEnd)
    net.ends.set(fingerprint, this)
  }

  async offer(): Promise<string> {
    return this.#describe()
  }

  async answer(offer: string): Promise<string> {
    await this.accept(offer)
    return this.#describe()
  }

  async accept(description: string): Promise<void> {
    const fingerprint = /^a=fingerprint:(.*)$/m.exec(description)?.[1]
    if (fingerprint === undefined) throw new RdvError("protocol", "The description has no fingerprint")
    this.wants = fingerprint
    this.#net.meet(this)
  }

  add(_candidate: RtcCandidate): void {
    this.candidates++
    this.#net.meet(this)
  }

  close(): void {
    if (!this.#net.ends.delete(this.fingerprint)) return
    const { other } = this.channelEnd
    this.channelEnd.end()
    other?.end()
  }

  #describe(): string {
    queueMicrotask(() => this.#heard.candidate({ candidate: `candidate:1 of ${this.fingerprint}`, mid: "0" }))
    return `v=0\r\na=fingerprint:${this.fingerprint}\na=max-message-size:262144\r\n`
  }
}
