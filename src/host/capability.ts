/** What a capability is: a name, a reader for its settings, a start. It has no stop: it ends with `host.scope`. */

import type { Host } from "./host.ts"

export interface Capability<Settings> {
  readonly name: string
  /** One sentence, for help and documents. */
  readonly summary: string
  /** Reads settings from a file or the command line; throws `usage` with the place and the mend. */
  settings(raw: unknown, at: string): Settings
  start(host: Host, settings: Settings): void | Promise<void>
}
