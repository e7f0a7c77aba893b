/** The server's lines, in the console of the browser's tools. */

import type { Log, LogFields } from "../../base/log.ts"
import type { AppLog } from "../../capabilities/tab/app/env.ts"

type Level = "debug" | "info" | "warn" | "error"

/** Of the product itself: only what is worth a look. */
export function consoleLog(fields: LogFields = {}): Log {
  const write = (level: Level) => (event: string, more?: LogFields) => {
    console[level](`rdv ${event}`, { ...fields, ...more })
  }
  const nothing = () => undefined
  return {
    debug: nothing,
    info: nothing,
    warn: write("warn"),
    error: write("error"),
    with: (more) => consoleLog({ ...fields, ...more }),
  }
}

/** Of the application. */
export function consoleAppLog(): AppLog {
  const write = (level: Level) => (text: string, fields?: { readonly [key: string]: unknown }) => {
    if (fields === undefined) console[level](text)
    else console[level](text, fields)
  }
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") }
}
