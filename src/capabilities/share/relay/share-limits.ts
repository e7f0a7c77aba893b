/** Every number of the share service at a relay, with its reason. */

import { mostChunks } from "../content/chunk-table.ts"

export interface ShareLimits {
  /** Sealed chunks in memory: those that are kept, those that are expected and those that wait to be sent. */
  readonly cacheBytes: number
  /** The same on disk, where there is a folder for it. */
  readonly diskBytes: number
  /** Swarms of all owners. Each idle one costs a row in the store and about 1 KiB. */
  readonly swarms: number
  /** Swarms of one token, so that one user does not use up the six-digit numbers. */
  readonly swarmsPerOwner: number
  /** Members of one swarm that are here at once; each costs about 20 KiB and one socket. */
  readonly membersPerSwarm: number
  /**
   * Chunks of one version. A member says what it has in one metadata block of at most 64 KiB; at 1 MiB a chunk this is
   * 256 GiB.
   */
  readonly chunks: number
  /** Tables of all swarms that are in use, bytes: 36 for each chunk, and about as much again for choosing. */
  readonly tableBytes: number
  /** Tables of one token's swarms, in the store. */
  readonly tableBytesPerOwner: number
  /** What all members of a swarm have, as bits, bytes: a large table with many members. */
  readonly bitmapBytesPerSwarm: number
  /** A table that was announced has to be here within this, ms. */
  readonly tableMs: number
  /** A member that was told of a version has to say what it has of it within this, ms. */
  readonly holdsMs: number
  /** Wrong codes of one address at once, and how long one of them counts, ms. A secret has 72 bits; this is against noise. */
  readonly guessBurst: number
  readonly guessForgiveMs: number
  /** Connections for chunks whose ticket is not here yet. */
  readonly greetings: number
  readonly greetingMs: number
  /**
   * Other members that one is told of: each costs it a connection. With 16 of 30 a swarm of limited uplinks takes 1.39 times
   * the least time, with 40 it takes 1.07: an uplink rests when those it reaches lack nothing that it has.
   */
  readonly partners: number
  /** The same where the relay carries: a few, for what it cannot carry. */
  readonly sparePartners: number
  /** A swarm in which nobody is any more ends after so long, ms: a laptop may be closed over a long weekend. */
  readonly lonelyMs: number
  /** The longest life of a swarm, ms. */
  readonly mostExpiresMs: number
  /** What is known of a swarm in which nobody is, is unloaded after so long, ms. */
  readonly restMs: number
  /** Chunks that somebody sent and whose hash is wrong, before it is put out. */
  readonly lies: number
  /** A chunk that takes longer to be sent is in the way of others when memory is short, ms. */
  readonly slowMs: number
  /** Messages that wait for one member; whoever does not read them is put out. */
  readonly unreadMessages: number
  /** What one member may say. A gigabyte a second in chunks of 64 KiB is a thousand messages; a cut session brings many at once. */
  readonly messagesPerSecond: number
  readonly messagesAtOnce: number
  /** Who hears about a swarm and takes no part, at once. Each gets a picture a second, up to 48 KB. */
  readonly watchersPerSwarm: number
}

export const defaultShareLimits: ShareLimits = {
  cacheBytes: 48 * 1024 * 1024,
  diskBytes: 1024 * 1024 * 1024,
  swarms: 10_000,
  swarmsPerOwner: 1_000,
  membersPerSwarm: 2_000,
  chunks: mostChunks,
  tableBytes: 48 * 1024 * 1024,
  tableBytesPerOwner: 256 * 1024 * 1024,
  bitmapBytesPerSwarm: 16 * 1024 * 1024,
  tableMs: 60_000,
  holdsMs: 60_000,
  guessBurst: 20,
  guessForgiveMs: 3_000,
  greetings: 256,
  greetingMs: 10_000,
  partners: 48,
  sparePartners: 4,
  lonelyMs: 4 * 24 * 3_600_000,
  mostExpiresMs: 30 * 24 * 3_600_000,
  restMs: 60_000,
  lies: 3,
  slowMs: 5_000,
  unreadMessages: 4_096,
  messagesPerSecond: 2_000,
  messagesAtOnce: 20_000,
  watchersPerSwarm: 64,
}
