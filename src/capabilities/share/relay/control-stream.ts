/** One `share` stream at the relay: tables come in one piece, messages go to the swarm, and what is wrong ends the stream. */

import { Bucket } from "../../../base/bucket.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import type { TableFacts } from "../protocol/control.ts"
import { readMemberMessage } from "../protocol/read-control.ts"
import type { Member } from "./member.ts"
import { Outbox } from "./outbox.ts"
import type { Swarm } from "./swarm.ts"

export interface ControlDesk {
  readonly clock: Clock
  readonly log: Log
  readonly tableMs: number
  readonly unreadMessages: number
  /** What one member may say, and what it may say at once. */
  readonly messagesPerSecond: number
  readonly messagesAtOnce: number
  /** Promises memory for a table. Throws `limit`, `too_large`. Returns what gives it back. */
  reserveTable(facts: TableFacts, owner: string): () => void
  /** A version of a swarm that is there already. Throws `protocol`, `exists`. */
  publish(swarm: Swarm, facts: TableFacts, bytes: Uint8Array, publisher: Member): void
}

/** A table that comes in. */
interface Incoming {
  readonly facts: TableFacts
  readonly bytes: Uint8Array
  length: number
  readonly done: (bytes: Uint8Array) => void
  readonly release: () => void
  readonly timer: Timer
}

export class ControlStream implements StreamSink {
  readonly outbox: Outbox
  /** Called once when the stream is over, whatever it was. */
  onClosed: (() => void) | undefined
  readonly #stream: Stream
  readonly #desk: ControlDesk
  #swarm: Swarm | undefined
  #member: Member | undefined
  #incoming: Incoming | undefined
  /** Of messages. */
  readonly #allowance: Bucket
  #isOver = false

  constructor(stream: Stream, desk: ControlDesk) {
    this.#stream = stream
    this.#desk = desk
    this.#allowance = new Bucket({ clock: desk.clock, perSecond: desk.messagesPerSecond, size: desk.messagesAtOnce })
    this.outbox = new Outbox(stream, desk.unreadMessages)
  }

  /** From now on it speaks for this member. */
  seat(swarm: Swarm, member: Member): void {
    this.#swarm = swarm
    this.#member = member
  }

  /** Bytes of a table follow. Throws as `reserveTable`. */
  expect(facts: TableFacts, owner: string, done: (bytes: Uint8Array) => void): void {
    const release = this.#desk.reserveTable(facts, owner)
    const timer = this.#desk.clock.after(this.#desk.tableMs, () => {
      this.fail(new RdvError("timeout", "The table of chunks did not come"))
    })
    this.#incoming = { facts, bytes: new Uint8Array(facts.bytes), length: 0, done, release, timer }
  }

  data(chunk: Uint8Array): void {
    const incoming = this.#incoming
    if (incoming === undefined || incoming.length + chunk.length > incoming.facts.bytes) {
      this.fail(new RdvError("protocol", "Bytes came that belong to no table"))
      return
    }
    // In one piece: parts of a byte each would cost a hundred times as much.
    incoming.bytes.set(chunk, incoming.length)
    incoming.length += chunk.length
    this.#stream.consumed(chunk.length)
    if (incoming.length < incoming.facts.bytes) return
    this.#settle()
    this.#try(() => incoming.done(incoming.bytes))
  }

  meta(block: JsonObject): void {
    this.#try(() => {
      if (!this.#allowance.take(1)) throw new RdvError("rate_limited", "It says more than members have to say")
      const message = readMemberMessage(block)
      if (this.#incoming !== undefined) throw new RdvError("protocol", "A message came within a table")
      const swarm = this.#swarm
      const member = this.#member
      if (swarm === undefined || member === undefined) throw new RdvError("protocol", "This stream only listens")
      if (member.outbox !== this.outbox) return
      if (message.do !== "version") {
        swarm.heard(member, message)
        return
      }
      if (member.role !== "sender") throw new RdvError("protocol", "Only the sender of a share may say this")
      const { table } = message
      this.expect(table, swarm.publication.owner, (bytes) => this.#desk.publish(swarm, table, bytes, member))
    })
  }

  end(): void {
    this.#stream.end()
  }

  drain(): void {
    this.outbox.drain()
  }

  closed(): void {
    this.#isOver = true
    this.outbox.over()
    this.#settle()
    if (this.#member !== undefined) this.#swarm?.leave(this.#member, this.outbox)
    this.onClosed?.()
  }

  fail(error: RdvError): void {
    this.#settle()
    if (this.#isOver) return
    if (this.#member !== undefined) this.#swarm?.leave(this.#member, this.outbox, error)
    this.outbox.reset(error)
  }

  #settle(): void {
    this.#incoming?.timer.cancel()
    this.#incoming?.release()
    this.#incoming = undefined
  }

  #try(work: () => void): void {
    try {
      work()
    } catch (thrown) {
      const error = asRdvError(thrown)
      if (error.code === "internal") {
        this.#desk.log.error("share.fault", {
          reason: thrown instanceof Error ? (thrown.stack ?? thrown.message) : "?",
        })
        this.fail(new RdvError("internal"))
      } else this.fail(error)
    }
  }
}
