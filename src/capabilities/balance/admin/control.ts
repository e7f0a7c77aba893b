/**
 * What can be asked of a running balancer and done to it: the admin API, `rdv balance target`, `rdv status` and `rdv top`
 * come in here. Whoever asks awaits the answers, because connections may live in threads of their own.
 */

import type { Snapshot } from "../observe/snapshot.ts"
import type { Orders } from "../target/target.ts"

export interface Control {
  snapshot(): Snapshot | Promise<Snapshot>
  /** The oldest first. */
  connections(most: number): readonly LiveConnection[] | Promise<readonly LiveConnection[]>
  /** Reads the file again. Rejects with `usage` when it is wrong: then nothing has changed. */
  reload(): Promise<ReloadResult>
  /** Holds until the process ends or a reload changes the same of this target. Throws `usage` for what is not there. */
  target(app: string, name: string, change: TargetChange): void | Promise<void>
  /** As a string in the file: `10.0.0.4:80`, `rdv:web`. Gone after a restart. Throws `usage`. */
  addTarget(app: string, text: string): void | Promise<void>
  /** What runs there is treated as by a reload without it. Throws `usage`. */
  removeTarget(app: string, name: string): void | Promise<void>
  /** Ends a connection at once, with a reset to both sides. False when there is none of this id. */
  cut(connectionId: number): boolean | Promise<boolean>
  /** The effective configuration, as text that could be its file. */
  configuration(): string | Promise<string>
}

export interface ReloadResult {
  /**
   * For people, one line per change: `app web: target 10.0.0.3:80 added`; also of files that it names and that say something
   * else than at the last reload: `certificate /etc/web.pem renewed, valid until 2027-01-31`. Empty: nothing has changed.
   */
  readonly changed: readonly string[]
}

export interface TargetChange {
  readonly orders?: Orders
  readonly weight?: number
}

export interface LiveConnection {
  readonly id: number
  readonly app: string
  readonly client: string
  /** Undefined while it has none. */
  readonly target: string | undefined
  readonly ageMs: number
  readonly bytesUp: number
  readonly bytesDown: number
  readonly state: "preface" | "queued" | "dialling" | "open" | "half-closed"
  /** Who does not read what is there for it; undefined when nothing is held up. */
  readonly waitsFor: "client" | "target" | undefined
}
