/** What a row of the table of commands is: a script of the guest's shell beside what it prints and how it ends. */

import type { ChannelSettings } from "../../src/capabilities/channels/core/settings.ts"
import type { KernelVersion } from "./kernel-image.ts"
import type { Dialect } from "./vm.ts"

export interface Row {
  /** A promise. */
  readonly name: string
  /**
   * Runs in bash, in a folder of the mount that is the row's own and in which the channel `c` is there; see guest/prelude
   * for the words that it may use.
   */
  readonly script: string
  /** Standard output. */
  readonly out: string | RegExp
  /** Standard error, by kernel where they differ; nothing unless told. */
  readonly err?: RegExp | Readonly<Record<KernelVersion, RegExp>>
  /** Exit status; 0 unless told. */
  readonly code?: number
  /** Of the channel `c`. */
  readonly settings?: Partial<ChannelSettings>
  /** Only there; everywhere unless told. */
  readonly kernels?: readonly KernelVersion[]
  readonly dialects?: readonly Dialect[]
}

/**
 * What a program says of writes that the server refuses. Newer kernels do not pass on why: there write(2) answers 0 first,
 * which GNU programs take for a full device, and EIO when it is called again, as stdio does.
 */
export function refusedWrites(...reasons: readonly string[]): Readonly<Record<KernelVersion, RegExp>> {
  const newer = reasons.map(() => "(?:Input/output error|No space left on device)")
  return { "6.1": inTurn(reasons), "6.12": inTurn(newer) }
}

function inTurn(texts: readonly string[]): RegExp {
  return new RegExp(texts.map((text) => `: ${text}\n`).join("[^]*"))
}
