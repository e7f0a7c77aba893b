/**
 * The sender's multicast: beacons while it shares, and one pass over each version as soon as enough receivers hear them.
 * Where nobody hears, nothing is lost but a beacon a second.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { Content } from "../content/content.ts"
import type { SwarmPicture } from "../protocol/control.ts"
import type { CastPlace, CastReport, CastSpeaker, ChunkCast } from "../paths/chunk-cast.ts"

export interface CastingOptions {
  readonly cast: ChunkCast
  readonly place: CastPlace
  readonly clock: Clock
  readonly log: Log
  readonly bytesPerSecond?: number | undefined
  /** So many have to hear it. Default 3: below that it saves the network little. */
  readonly leastReceivers?: number | undefined
  readonly began: () => void
  readonly over: (report: CastReport | undefined) => void
}

export class Casting {
  readonly #options: CastingOptions
  readonly #speaker: CastSpeaker | undefined
  #content: Content | undefined
  /** Since the version began, this one was not sent by multicast. */
  #isDue = false
  #heard = 0
  #timer: Timer | undefined
  #pass: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #isClosed = false
  readonly #leastReceivers: number
  /** What receivers got lately, all together, bytes/s. */
  #otherwise = 0

  constructor(options: CastingOptions) {
    this.#options = options
    this.#leastReceivers = options.leastReceivers ?? usualLeastReceivers
    try {
      this.#speaker = options.cast.speak(options.place, { heard: (receivers) => this.#hear(receivers) })
    } catch (error) {
      options.log.info("share.cast.unreachable", { reason: asRdvError(error).message })
    }
  }

  /** Another version: a pass over the one before is pointless. */
  begin(content: Content): void {
    this.#content = content
    this.#isDue = true
    this.#pass?.abort(new RdvError("cancelled"))
    this.#consider()
  }

  /** What receivers get without multicast is what it has to exceed. */
  look({ members }: SwarmPicture): void {
    if (this.#pass !== undefined) return
    let bytesPerSecond = 0
    for (const { role, inBytesPerSecond } of members) if (role === "receiver") bytesPerSecond += inBytesPerSecond
    this.#otherwise = Math.max(bytesPerSecond, this.#otherwise / 2)
  }

  /** The relay has forgotten that a pass is under way. */
  again(): void {
    if (this.#pass !== undefined) this.#options.began()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#pass?.abort(new RdvError("closed"))
    await this.#running
    this.#speaker?.close()
  }

  #hear(receivers: number): void {
    this.#heard = receivers
    this.#consider()
  }

  /** Those who come within the same moment are worth the wait. */
  #consider(): void {
    if (!this.#isDue || this.#isClosed || this.#heard < this.#leastReceivers || this.#timer !== undefined) return
    this.#timer = this.#options.clock.after(gatherMs, () => {
      this.#timer = undefined
      if (!this.#isDue || this.#isClosed || this.#heard < this.#leastReceivers) return
      this.#isDue = false
      this.#running = this.#running.then(() => this.#run())
    })
  }

  async #run(): Promise<void> {
    const { began, over, log, bytesPerSecond } = this.#options
    const content = this.#content
    if (content === undefined || this.#speaker === undefined || this.#isClosed) return
    const pass = new AbortController()
    this.#pass = pass
    began()
    let report: CastReport | undefined
    try {
      const { table } = content
      report = await this.#speaker.pass({
        version: table.version,
        chunks: chunksOf(table.manifestChunks, table.count),
        read: (chunk) => content.read(chunk),
        signal: pass.signal,
        leastBytesPerSecond: Math.max(leastBytesPerSecond, this.#otherwise),
        ...(bytesPerSecond !== undefined && { bytesPerSecond }),
      })
    } catch (error) {
      if (!pass.signal.aborted) log.warn("share.cast.failed", { reason: asRdvError(error).message })
    }
    this.#pass = undefined
    over(report)
  }
}

/** The manifest goes the normal way: who lacks it has no place for the rest. */
function* chunksOf(first: number, count: number): Iterable<number> {
  for (let chunk = first; chunk < count; chunk++) yield chunk
}

const usualLeastReceivers = 3
/** Less than that is radio that carries multicast at its slowest rate. */
const leastBytesPerSecond = 3_000_000
const gatherMs = 1_500
