/** The log of a thread: its lines go to the main thread, which writes them. */

import type { Log, LogFields, LogLevel } from "../../../base/log.ts"

const order: readonly (LogLevel | "silent")[] = ["debug", "info", "warn", "error", "silent"]

/** `send` gets lines of this level and above. */
export function forwardedLog(
  quietest: LogLevel | "silent",
  send: (level: LogLevel, event: string, fields: LogFields) => void,
  always: LogFields = {},
): Log {
  const at = (level: LogLevel) =>
    order.indexOf(level) < order.indexOf(quietest)
      ? ignore
      : (event: string, fields?: LogFields) => send(level, event, { ...always, ...fields })
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (fields) => forwardedLog(quietest, send, { ...always, ...fields }),
  }
}

function ignore(): void {
  // Nobody wants to read it.
}
