/** The product's log, written by pino: JSON lines for machines, one readable line each on a terminal. */

import { pino } from "pino"
import type { Logger } from "pino"
import type { Log, LogFields, LogLevel } from "../base/log.ts"

export interface LogOptions {
  readonly level: LogLevel | "silent"
  readonly format: "json" | "text"
  /** Takes one line with its line end. Default: standard error. */
  readonly write?: (line: string) => void
}

export function createLog(options: LogOptions): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line))
  const stream = { write: options.format === "json" ? write : (line: string) => write(readable(line)) }
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: "event",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
  return wrap(logger)
}

function wrap(logger: Logger): Log {
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
    with: (fields: LogFields) => wrap(logger.child(fields)),
  }
}

/** `10:15:02 warn  session.down  code=link_lost reason="…"` */
function readable(line: string): string {
  const { level, time, event, ...fields } = JSON.parse(line) as Record<string, unknown>
  const words = Object.entries(fields).map(([key, value]) => {
    const isList = Array.isArray(value) && value.every((item) => typeof item === "string")
    const text = typeof value === "string" ? value : isList ? value.join("; ") : JSON.stringify(value)
    return `${key}=${/^[\w.:/@[\]-]+$/.test(text) ? text : quoted(text)}`
  })
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(event)}  ${words.join(" ")}\n`
}

/** Names and texts come from strangers, and JSON leaves DEL, the C1 controls and marks of direction as they are. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
}
