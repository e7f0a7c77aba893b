/** What a command of `rdv` is: words for its help, a table of flags, a function. `main.ts` finds it and runs it. */

import type { FlagReader, Flags } from "./flags.ts"
import type { Output } from "./output.ts"

export interface Command {
  /** One or two words: `relay`, `token new`. */
  readonly name: string
  /** One sentence for the list of commands. */
  readonly summary: string
  /** What stands behind `rdv NAME`: `TARGET [flags]`. */
  readonly usage: string
  /** How many words it takes that are no flags. */
  readonly words: readonly [least: number, most: number]
  readonly flags: Flags
  /** Command and what it does. */
  readonly examples: readonly (readonly [command: string, effect: string])[]
  /** More lines for `--help`, about what flags cannot tell. */
  readonly notes?: readonly string[]
  /** `-config x` means `--config x`, as in programs that this one stands in for. */
  readonly singleDash?: boolean
  /** Resolves with the exit code; what it throws is shown as one line. */
  run(call: CommandCall): Promise<number>
}

export interface CommandCall {
  /** What is no flag, in order. */
  readonly words: readonly string[]
  readonly flags: FlagReader
  readonly env: Environment
  readonly output: Output
  /** Fires at the first Ctrl+C or SIGTERM: finish what runs, then return. */
  readonly stopping: AbortSignal
}

export type Environment = Readonly<Record<string, string | undefined>>

/** What scripts can tell apart. */
export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  unreachable: 3,
  /** No party of a channel, nobody who shares: in time, or at all for who does not wait. */
  nobody: 4,
  /** A channel closed, removed, or never there; a share expired, ended or refused. */
  gone: 5,
  interrupted: 130,
} as const

/** Resolves when the signal fires. */
export function untilStopped(stopping: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stopping.aborted) resolve()
    else stopping.addEventListener("abort", () => resolve(), { once: true })
  })
}
