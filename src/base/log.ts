/**
 * What the product says about itself while it runs. An event name is one of a fixed vocabulary in lower case with dots
 * (`session.resumed`); facts go into fields, never into the text. Secrets are never fields.
 */

import type { Json } from "./json.ts"

export type LogLevel = "debug" | "info" | "warn" | "error"
export type LogFields = { readonly [name: string]: Json | undefined }

export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A log that adds these fields to each line. */
  with(fields: LogFields): Log
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
}
