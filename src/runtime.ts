/** What sessions get from Node. */

import { crc32 } from "node:zlib"
import { systemClock } from "./base/clock.ts"
import type { Log } from "./base/log.ts"
import type { SessionRuntime } from "./mux/session.ts"

export function nodeRuntime(log: Log): SessionRuntime {
  return {
    clock: systemClock,
    log,
    // After the present round of input and before the process sleeps: one write serves all sockets that were read.
    defer: (callback) => void setImmediate(callback),
    checksum: (bytes, seed) => crc32(bytes, seed),
  }
}
