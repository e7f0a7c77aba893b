/**
 * Looks at a joined connection from time to time: whether it moves, who does not read, whether a time-out has passed. What
 * has moved since the last look is counted then, so that nothing is counted for each chunk.
 */

import { Socket } from "node:net"
import type { Joint } from "../../../sockets/joint.ts"
import type { AppSettings, KeepAliveSettings } from "../config/settings.ts"
import type { Ending } from "./ending.ts"

export interface JointWatchOptions {
  readonly joint: Joint
  /** Clock. */
  readonly startedAt: number
  readonly joinedAt: number
  /** Bytes since the last time. */
  readonly moved: (up: number, down: number) => void
}

/** Probes cost eight system calls to set up, which most connections do not live to need, ms. */
const youngMs = 5_000

export class JointWatch {
  readonly #joint: Joint
  readonly #startedAt: number
  readonly #joinedAt: number
  readonly #moved: (up: number, down: number) => void
  #seenUp = 0
  #seenDown = 0
  /** When something moved last, as far as anybody looked. */
  #upAt: number
  #downAt: number
  #wasHalfClosed = false
  #keepsAlive = false

  constructor({ joint, startedAt, joinedAt, moved }: JointWatchOptions) {
    this.#joint = joint
    this.#startedAt = startedAt
    this.#joinedAt = joinedAt
    this.#upAt = joinedAt
    this.#downAt = joinedAt
    this.#moved = moved
  }

  /** How it has to end, if it has to. */
  look(now: number, { timeouts, keepAlive }: AppSettings): Ending | undefined {
    const joint = this.#joint
    const { up, down } = joint
    // Whoever waits for its pace is not idle.
    if (up.bytes !== this.#seenUp || up.paced) this.#upAt = now
    if (down.bytes !== this.#seenDown || down.paced) this.#downAt = now
    this.count()
    const isHalfClosed = joint.isHalfClosed
    if (isHalfClosed && !this.#wasHalfClosed) {
      this.#wasHalfClosed = true
      this.#upAt = this.#downAt = now
    }
    const age = now - this.#joinedAt
    if (!this.#keepsAlive && age >= youngMs) this.#keepAlive(keepAlive)
    const quietMs = now - Math.max(this.#upAt, this.#downAt)
    const { idleMs, halfClosedMs, lifetimeMs, firstByteMs, answerMs, slowReaderMs } = timeouts
    if (lifetimeMs !== undefined && now - this.#startedAt >= lifetimeMs) return "lifetime"
    if (isHalfClosed && quietMs >= halfClosedMs) return "half-closed-timeout"
    if (idleMs !== undefined && quietMs >= idleMs) return "idle-timeout"
    if (firstByteMs !== undefined && up.bytes === 0 && !up.ended && age >= firstByteMs) return "first-byte-timeout"
    if (answerMs !== undefined && down.bytes === 0 && age >= answerMs) return "answer-timeout"
    if (slowReaderMs === undefined) return undefined
    if (down.waiting > 0 && now - this.#downAt >= slowReaderMs) return "slow-client"
    return up.waiting > 0 && now - this.#upAt >= slowReaderMs ? "slow-target" : undefined
  }

  /** Tells what has moved since the last time. */
  count(): void {
    const { up, down } = this.#joint
    const moreUp = up.bytes - this.#seenUp
    const moreDown = down.bytes - this.#seenDown
    if (moreUp === 0 && moreDown === 0) return
    this.#seenUp = up.bytes
    this.#seenDown = down.bytes
    this.#moved(moreUp, moreDown)
  }

  #keepAlive(settings: KeepAliveSettings | undefined): void {
    this.#keepsAlive = true
    if (settings === undefined) return
    for (const { source } of [this.#joint.up, this.#joint.down]) {
      if (source instanceof Socket) source.setKeepAlive(true, settings.idleMs)
    }
  }
}
