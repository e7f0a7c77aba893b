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
  /** Standard output; by kernel where they differ. */
  readonly out: string | RegExp
  /** Standard error; nothing unless told. */
  readonly err?: RegExp
  /** Exit status; 0 unless told. */
  readonly code?: number
  /** Of the channel `c`. */
  readonly settings?: Partial<ChannelSettings>
  /** Only there; everywhere unless told. */
  readonly kernels?: readonly KernelVersion[]
  readonly dialects?: readonly Dialect[]
}
