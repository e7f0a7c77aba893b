/** The receiver's part of the multicast: chunks that it hears go the way of all others, and the relay knows that it hears. */

import { asRdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { CastListener, CastPlace, ChunkCast } from "../paths/chunk-cast.ts"
import type { Inflow } from "./intake.ts"

export interface CastEarOptions {
  readonly cast: ChunkCast
  readonly place: CastPlace
  readonly inflow: Inflow
  readonly log: Log
  /** Chunks are coming in by it; more than once. */
  readonly began: () => void
  /** What is there of a version, by the number that travels. */
  readonly have: (version: number) => Uint8Array | undefined
  readonly say: (state: "heard" | "deaf") => void
}

export class CastEar {
  readonly #options: CastEarOptions
  #listener: CastListener | undefined
  #isHearing = false
  #isUnreachable = false

  constructor(options: CastEarOptions) {
    this.#options = options
  }

  /** From now on: whoever hears has a place for what comes, since nothing else is sent to it meanwhile. */
  open(): void {
    const { cast, place, inflow, log, have, began } = this.#options
    if (this.#listener !== undefined || this.#isUnreachable) return
    try {
      this.#listener = cast.listen(place, {
        heard: () => this.#turn(true),
        deaf: () => {
          inflow.close()
          this.#turn(false)
        },
        have: (version) => have(version),
        room(name, length) {
          began()
          return inflow.room(name, length)
        },
        chunk: (name, sealed) => inflow.chunk(name, sealed),
        lost: (name) => inflow.lost(name),
        // What is missing comes the normal way.
        over: began,
      })
    } catch (error) {
      this.#isUnreachable = true
      log.info("share.cast.unreachable", { reason: asRdvError(error).message })
    }
  }

  /** A new stream to the relay: it knows nothing of us. */
  again(): void {
    if (this.#isHearing) this.#options.say("heard")
  }

  /** Nothing is missing, or nothing has a place. */
  close(): void {
    this.#listener?.close()
    this.#listener = undefined
    this.#options.inflow.close()
    if (this.#isHearing) this.#turn(false)
  }

  #turn(isHearing: boolean): void {
    this.#isHearing = isHearing
    this.#options.say(isHearing ? "heard" : "deaf")
  }
}
