/** What operators and the command have of a balancer, on one event loop or on several. */

import type { LiveConnection } from "../admin/control.ts"
import type { Settings } from "../config/settings.ts"
import type { AppSnapshot } from "../observe/snapshot.ts"
import type { Target } from "../target/target.ts"

export interface Engine {
  readonly settings: Settings
  /** That run, those that wait too. */
  readonly connections: number
  /** Each port once; whether the first attempt to listen went well. */
  listening(): Promise<readonly { readonly address: string; readonly ok: boolean }[]>
  /** In the order of the file. Throws `usage` when there is no such app. */
  targets(app: string): readonly Target[]
  /** Somebody wrote orders of a target. */
  retarget(app: string, target: Target): void
  /** Takes over another configuration. Fails with `usage` when it cannot be used; then nothing has changed. */
  update(settings: Settings): void | Promise<void>
  /** Certificates and lists are read again. Returns what is wrong with lists of networks, of which the last good ones stay. */
  reloadFiles(): readonly string[]
  snapshots(): AppSnapshot[] | Promise<AppSnapshot[]>
  /** The oldest first. */
  liveConnections(most: number): LiveConnection[] | Promise<LiveConnection[]>
  /** False when there is none of this id. */
  cut(id: number): boolean | Promise<boolean>
  /** Listens no more; waits for what runs, then cuts it. Never rejects. */
  stop(graceMs: number): Promise<void>
}
