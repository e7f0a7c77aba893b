/** What sessions get from Node. */

import { crc32 } from "node:zlib"
import { systemClock } from "./base/clock.ts"
import { segmentPool } from "./base/segments.ts"
import type { Log } from "./base/log.ts"
import type { SessionRuntime } from "./mux/session-options.ts"

/** Kept for the next burst: 8 MiB. One pool for the process, so that a busy session uses what a quiet one gave back. */
const segments = segmentPool(64)

export function nodeRuntime(log: Log): SessionRuntime {
  return {
    segments,
    clock: systemClock,
    log,
    // After the present round of input and before the process sleeps: one write serves all sockets that were read.
    defer: (callback) => void setImmediate(callback),
    checksum: (bytes, seed) => crc32(bytes, seed),
  }
}
