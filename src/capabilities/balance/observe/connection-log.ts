/**
 * A line in the log for each connection that is over. Strangers decide how many there are, so those that were turned away
 * before they had a target get only so many lines a second; the rest is counted and told.
 */

import type { Clock } from "../../../base/clock.ts"
import type { Log, LogFields } from "../../../base/log.ts"
import type { LogSettings } from "../config/settings.ts"
import { blameOf } from "../connection/blame.ts"
import type { Blame } from "../connection/blame.ts"
import type { ConnectionRecord } from "../connection/record.ts"

export interface ConnectionLogOptions {
  readonly log: Log
  readonly clock: Clock
  /** Asked for each connection: a reload may change it. */
  readonly settings: () => LogSettings
}

/** Lines a second for connections without a target. */
const mostRefused = 100

const levels: Readonly<Record<Blame, "info" | "warn" | "error">> = {
  nobody: "info",
  client: "info",
  policy: "info",
  limit: "warn",
  target: "warn",
  us: "error",
}

export class ConnectionLog {
  readonly #options: ConnectionLogOptions
  /** Of the second that began then. */
  #secondAt = -Infinity
  #refused = 0
  #untold = 0

  constructor(options: ConnectionLogOptions) {
    this.#options = options
  }

  /** `connection.ended`. */
  ended(record: ConnectionRecord): void {
    const { log, settings } = this.#options
    const { connections } = settings()
    if (connections === "none" || (connections === "failed" && record.ending === "done")) return
    if (record.target === undefined && !this.#mayTell()) return
    log[levels[blameOf(record.ending)]]("connection.ended", fieldsOf(record))
  }

  #mayTell(): boolean {
    const { clock, log } = this.#options
    const now = clock.now()
    if (now - this.#secondAt >= 1_000) {
      if (this.#untold > 0) log.warn("connections.untold", { count: this.#untold, reason: "too many were refused" })
      this.#secondAt = now
      this.#refused = 0
      this.#untold = 0
    }
    if (this.#refused < mostRefused) {
      this.#refused++
      return true
    }
    this.#untold++
    return false
  }
}

function fieldsOf(record: ConnectionRecord): LogFields {
  const { ending, detail, dials } = record
  const failed = dials.filter(({ error }) => error !== undefined).map(({ target, error }) => `${target}: ${error}`)
  return {
    id: record.id,
    app: record.app,
    listener: record.listener,
    client: record.client,
    serverName: record.serverName,
    tier: record.tier,
    target: record.target,
    why: record.target === undefined ? undefined : record.why,
    ending,
    by: blameOf(ending),
    detail: detail === "" ? undefined : detail,
    attempts: record.attempts,
    failed: failed.length === 0 ? undefined : failed,
    prefaceMs: rounded(record.prefaceMs),
    queuedMs: rounded(record.queuedMs),
    connectMs: rounded(record.connectMs),
    firstByteMs: rounded(record.firstByteMs),
    durationMs: rounded(record.durationMs),
    bytesUp: record.bytesUp,
    bytesDown: record.bytesDown,
  }
}

/** To µs. */
function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1_000) / 1_000
}
