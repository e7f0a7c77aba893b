/** What a run tells the shell. 2, for a wrong command line, is the command line's own. */

import type { ErrorKind } from "../client/client.ts"
import type { Result } from "../record/result.ts"

/** 0 held, 99 a threshold not held, 3 the target cannot be reached, 4 the generator was overloaded. */
export type ExitCode = 0 | 3 | 4 | 99

/** Ways in which a connection does not come about. */
const connectErrors: ReadonlySet<string> = new Set<ErrorKind>([
  "refused",
  "unreachable",
  "dns",
  "connect timeout",
  "tls",
])

/**
 * The most telling one: of a target that never answered thresholds say nothing, and of an overloaded generator they do
 * not speak of the target, held or not.
 */
export function exitCode(result: Pick<Result, "total" | "overloaded" | "thresholds">): ExitCode {
  const kinds = Object.keys(result.total.errors)
  if (result.total.completed === 0 && kinds.length > 0 && kinds.every((kind) => connectErrors.has(kind))) return 3
  if (result.overloaded) return 4
  return result.thresholds.every(({ held }) => held) ? 0 : 99
}
