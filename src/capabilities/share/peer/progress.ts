/** How far a receiver is, in figures. Bytes are those of the content that travel: zeros and what is there twice count once or not. */

import type { Clock } from "../../../base/clock.ts"
import type { Bitmap } from "../content/bitmap.ts"
import { sealBytes } from "../content/chunk-crypto.ts"
import type { ChunkTable } from "../content/chunk-table.ts"
import type { ByteWays } from "../protocol/control.ts"
import type { MemberTraffic } from "./member.ts"
import type { ReceiverPhase } from "./waiting.ts"

export interface ProgressFacts {
  readonly phase: ReceiverPhase
  /** 0: none is known yet. */
  readonly version: number
  /** To have in the end. */
  readonly bytes: number
  readonly haveBytes: number
  /** Of these, what was there before: an interrupted run, an older version. */
  readonly foundBytes: number
  readonly chunks: number
  readonly haveChunks: number
  /** Of what comes, over the last seconds; undefined: not measured yet. */
  readonly bytesPerSecond: number | undefined
  /** Until everything is here at this rate; undefined: nobody can say. */
  readonly etaMs: number | undefined
  /** Where bytes came from since the start. */
  readonly via: ByteWays
  readonly sentBytes: number
  /** Members that are reached directly. */
  readonly peers: number
  /** What carries chunks to the relay; undefined: nothing does. */
  readonly relayOver: string | undefined
}

export class Progress {
  readonly #clock: Clock
  #table: ChunkTable | undefined
  #bytes = 0
  #haveBytes = 0
  #foundBytes = 0
  #haveChunks = 0
  /** The last time that something came, or that a new phase began, ms. */
  #movedAt: number
  #toldAt = -Infinity
  #toldPhase: ReceiverPhase | undefined
  #isChanged = false
  /** Bytes that came, at the ends of the last spans. */
  #came = 0
  readonly #marks: { readonly at: number; readonly came: number }[] = []
  #phase: ReceiverPhase = "joining"

  constructor(clock: Clock) {
    this.#clock = clock
    this.#movedAt = clock.now()
    this.#marks.push({ at: this.#movedAt, came: 0 })
  }

  /** Since something came. */
  get silentMs(): number {
    return this.#clock.now() - this.#movedAt
  }

  begin(table: ChunkTable): void {
    this.#table = table
    this.#bytes = 0
    for (let chunk = table.manifestChunks; chunk < table.count; chunk++) this.#bytes += plain(table.lengthOf(chunk))
    this.#haveBytes = 0
    this.#foundBytes = 0
    this.#haveChunks = 0
    this.#move()
  }

  /** `have` is what the target has. */
  opened(have: Bitmap, foundBytes: number): void {
    const table = this.#table
    if (table === undefined) return
    this.#haveBytes = 0
    for (let chunk = table.manifestChunks; chunk < table.count; chunk++)
      if (have.has(chunk)) this.#haveBytes += plain(table.lengthOf(chunk))
    this.#haveChunks = have.count
    this.#foundBytes = foundBytes
    this.#move()
  }

  stored(chunk: number, sealedBytes: number): void {
    this.#came += sealedBytes
    this.#haveChunks++
    if (this.#table !== undefined && chunk >= this.#table.manifestChunks) this.#haveBytes += plain(sealedBytes)
    this.#move()
  }

  lost(sealedBytes: number): void {
    this.#haveChunks--
    this.#haveBytes -= plain(sealedBytes)
    this.#isChanged = true
  }

  /** Whether it is time to tell; marks it as told. Asked a few times a second. */
  isDue(phase: ReceiverPhase): boolean {
    const now = this.#clock.now()
    this.#mark(now)
    if (phase !== this.#phase) {
      this.#phase = phase
      this.#move()
    }
    if (!this.#isChanged && phase === this.#toldPhase && now - this.#toldAt < 1_000) return false
    this.#isChanged = false
    this.#toldAt = now
    this.#toldPhase = phase
    return true
  }

  facts(traffic: MemberTraffic, phase: ReceiverPhase): ProgressFacts {
    const bytesPerSecond = this.#rate()
    const left = this.#bytes - this.#haveBytes
    return {
      phase,
      version: this.#table?.version ?? 0,
      bytes: this.#bytes,
      haveBytes: this.#haveBytes,
      foundBytes: this.#foundBytes,
      chunks: this.#table?.count ?? 0,
      haveChunks: this.#haveChunks,
      bytesPerSecond,
      etaMs:
        left > 0 && bytesPerSecond !== undefined && bytesPerSecond > 0 ? (left * 1000) / bytesPerSecond : undefined,
      via: traffic.received,
      sentBytes: traffic.sent.relay + traffic.sent.direct,
      peers: traffic.peers,
      relayOver: traffic.relayOver,
    }
  }

  #move(): void {
    this.#movedAt = this.#clock.now()
    this.#isChanged = true
  }

  #mark(now: number): void {
    this.#marks.push({ at: now, came: this.#came })
    while (this.#marks.length > 2 && now - (this.#marks[1]?.at ?? now) > spanMs) this.#marks.shift()
  }

  #rate(): number | undefined {
    const first = this.#marks[0]
    const elapsed = this.#clock.now() - (first?.at ?? 0)
    if (first === undefined || elapsed < leastSpanMs || this.#came === 0) return undefined
    return ((this.#came - first.came) * 1000) / elapsed
  }
}

function plain(sealedBytes: number): number {
  return sealedBytes - sealBytes
}

const spanMs = 5_000
const leastSpanMs = 400
