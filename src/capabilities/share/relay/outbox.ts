/**
 * What the relay says to one member, in order: messages, tables in one piece, and of pictures only the newest. A member that
 * does not read costs a bounded queue and then its place.
 */

import { asRdvError, RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { RelayMessage, SwarmPicture, TableFacts } from "../protocol/control.ts"

export class Outbox {
  readonly #stream: Stream
  readonly #most: number
  readonly #waiting: Fifo<RelayMessage | Uint8Array | "end"> = new Fifo()
  #picture: SwarmPicture | undefined
  #isFull = false
  #isOver = false

  /** So many messages wait at most. */
  constructor(stream: Stream, most: number) {
    this.#stream = stream
    this.#most = most
  }

  get isOver(): boolean {
    return this.#isOver
  }

  say(message: RelayMessage): void {
    if (this.#isOver) return
    if (this.#isFull || this.#waiting.length > 0) {
      if (this.#waiting.length >= this.#most) {
        this.reset(new RdvError("limit", `It has not read ${this.#most} messages of its relay`))
        return
      }
      this.#waiting.push(message)
    } else if (!this.#meta(message as unknown as JsonObject)) this.#isFull = true
  }

  table(facts: TableFacts, bytes: Uint8Array): void {
    this.say({ do: "table", table: facts })
    for (let at = 0; at < bytes.length; at += sliceBytes) this.#waiting.push(bytes.subarray(at, at + sliceBytes))
    this.#flush()
  }

  /** The one before is left out when it has not gone. */
  picture(picture: SwarmPicture): void {
    this.#picture = picture
    this.#flush()
  }

  /** Ends in good order behind what waits. */
  end(): void {
    this.#waiting.push("end")
    this.#flush()
  }

  reset(error: RdvError): void {
    if (this.#isOver) return
    this.over()
    this.#stream.reset(error.code, error.message)
  }

  /** The stream has room again. */
  drain(): void {
    this.#isFull = false
    this.#flush()
  }

  /** The stream has ended. */
  over(): void {
    this.#isOver = true
    this.#waiting.clear()
    this.#picture = undefined
  }

  /** What is larger than a message, which nothing should be, ends this stream and not the relay. */
  #meta(block: JsonObject): boolean {
    try {
      return this.#stream.meta(block)
    } catch (error) {
      this.reset(asRdvError(error))
      return false
    }
  }

  #flush(): void {
    while (!this.#isFull && !this.#isOver) {
      const next = this.#waiting.shift()
      if (next === "end") {
        this.over()
        this.#stream.end()
      } else if (next === undefined) {
        if (this.#picture === undefined) return
        const picture = this.#picture
        this.#picture = undefined
        this.#isFull = !this.#meta({ do: "swarm", picture } as unknown as JsonObject)
      } else if (next instanceof Uint8Array) this.#isFull = !this.#stream.write(next)
      else this.#isFull = !this.#meta(next as unknown as JsonObject)
    }
  }
}

const sliceBytes = 64 * 1024
