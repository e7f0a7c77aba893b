/** What sessions need of a browser. */

import { systemClock } from "../base/clock.ts"
import type { Log } from "../base/log.ts"
import { nextTurn } from "../base/next-turn.ts"
import { segmentPool } from "../base/segments.ts"
import type { SessionRuntime } from "../mux/session-options.ts"
import { crc32 } from "../wire/crc32.ts"

export function browserRuntime(log: Log): SessionRuntime {
  return { clock: systemClock, log, segments: segmentPool(32), defer: nextTurn(), checksum: crc32 }
}
