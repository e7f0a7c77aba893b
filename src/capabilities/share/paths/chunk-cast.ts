/**
 * One sender to all receivers of a network at once: IP multicast in Node, nothing in a page. It carries what everybody
 * lacks, once; it promises nothing. Whoever missed a chunk gets it by the normal way, and nobody waits for the slowest.
 * What is delivered is whole and came from somebody with the code, and its hash is still to be checked.
 */

import type { Soon } from "../content/chunk-crypto.ts"
import type { ChunkName } from "./chunk-path.ts"

/** What the network gives; a member gets one or none. */
export interface ChunkCast {
  /** Receiver: joins the group and calls the sink from now on. Throws `unreachable` where no interface takes part. */
  listen(place: CastPlace, sink: CastSink): CastListener
  /** Sender: beacons from now on, about one a second, so that receivers find out whether they hear. Throws `unreachable`. */
  speak(place: CastPlace, events: CastEvents): CastSpeaker
}

export interface CastPlace {
  /** Six digits: group and port follow from it, so that swarms do not disturb each other. */
  readonly swarm: string
  /** `SwarmKeys.peer`: everything on the wire is authenticated with it. */
  readonly key: Uint8Array
}

export interface CastSink {
  /** A sender is heard (`cast heard`). Called again only behind `deaf`. */
  heard(): void
  /** No sender was heard for some seconds (`cast deaf`). What was incomplete is forgotten, its memory is free. */
  deaf(): void
  /** What is there of this version already, as `Bitmap.bytes`: what all have is not sent. Undefined: nothing. */
  have?(version: number): Uint8Array | undefined
  /** As in `ChunkPathSink`: memory for a chunk that begins to come in, or undefined, and then it is skipped. */
  room(name: ChunkName, length: number): Uint8Array | undefined
  /** It is whole, in the memory that `room` gave. */
  chunk(name: ChunkName, sealed: Uint8Array): void
  /** It will not be completed: the memory that `room` gave is free. The chunk comes the normal way, or once more. */
  lost(name: ChunkName): void
  /** The sender's pass over this version has ended; what is missing now comes the normal way. `lost` was called for the rest. */
  over(version: number): void
}

export interface CastListener {
  /** Where it listens, for people: `239.255.17.4:21377`. */
  readonly place: string
  /** Bytes of chunks that came whole. */
  readonly receivedBytes: number
  /** This chunk has come another way meanwhile: forgets what is there of it, without `lost`. */
  cancel(name: ChunkName): void
  close(): void
}

export interface CastEvents {
  /**
   * So many receivers have answered beacons lately, directly and not through the relay. A pass is worth it from about
   * three on. Called when the number changes.
   */
  heard(receivers: number): void
}

export interface CastSpeaker {
  readonly place: string
  readonly receivers: number
  /**
   * Sends each of these chunks once, in this order, and repairs what receivers report to be missing. What all have is left
   * out; so is what one alone of three and more lacks. Resolves when everything was sent and nobody asks any more; sooner
   * when nobody listens any more, or the network carries so little that the normal way is faster. Rejects with the
   * signal's reason, or `read`'s error. One pass at a time.
   */
  pass(pass: CastPass): Promise<CastReport>
  /** No more beacons. A pass under way rejects `closed`. */
  close(): void
}

export interface CastPass {
  readonly version: number
  readonly chunks: Iterable<number>
  /** The sealed chunk; it may not change for as long as the pass lasts. A few are held at once. */
  read(chunk: number): Soon<Uint8Array>
  readonly signal: AbortSignal
  /** `--limit`, bytes/s of chunks. Default: what receivers take. */
  readonly bytesPerSecond?: number
  /** What receivers get without it, all together, bytes/s: a pass that brings them less is given up. Default 3 MB/s. */
  readonly leastBytesPerSecond?: number
}

export interface CastReport {
  /** How many were sent. */
  readonly chunks: number
  /** How many were left out. */
  readonly skipped: number
  /** Of the chunks, each once. */
  readonly bytes: number
  /** Of datagrams, with headers and repairs: `wireBytes / bytes` is what the pass cost. */
  readonly wireBytes: number
  readonly repairedBytes: number
  /** Most that answered at once. */
  readonly receivers: number
  readonly ms: number
}
