/**
 * What the main thread and the threads of its event loops say to each other. All of it is plain data; what is shared lies
 * in buffers that both have from the start.
 */

import type { LogFields, LogLevel } from "../../../base/log.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { LiveConnection } from "../admin/control.ts"
import type { Demand, Part } from "../bandwidth/cap-parts.ts"
import type { Settings } from "../config/settings.ts"
import type { Word } from "../engine/team.ts"
import type { AppSnapshot } from "../observe/snapshot.ts"
import type { SharedMemory } from "./shared-memory.ts"

/** What a thread is given. */
export interface LoopTask {
  /** From 1; the main thread's is 0. */
  readonly loop: number
  readonly settings: Settings
  readonly memory: SharedMemory
  readonly counters: Counters
  /** What is known of targets. */
  readonly words: readonly Word[]
  readonly ticketSecret: Uint8Array
  /** Lines below it need not be sent. */
  readonly logLevel: LogLevel | "silent"
  /** Ours, as spans tell it. */
  readonly version: string
}

/** Name of a count → its place in the tally. */
export type Counters = ReadonlyMap<string, number>

export type Question =
  | { readonly about: "apply"; readonly settings: Settings; readonly counters: Counters }
  | { readonly about: "snapshots" }
  | { readonly about: "connections"; readonly most: number }
  | { readonly about: "cut"; readonly id: number }
  /** The first attempt at each port is over. */
  | { readonly about: "listening" }

export interface Answers {
  readonly apply: undefined
  readonly snapshots: readonly AppSnapshot[]
  readonly connections: readonly LiveConnection[]
  readonly cut: boolean
  readonly listening: undefined
}

export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  readonly mend: string | undefined
}

export type ToLoop =
  | { readonly kind: "ask"; readonly ask: number; readonly question: Question }
  | { readonly kind: "word"; readonly word: Word }
  /** The answer to `wake`; without a failure it is ready. */
  | { readonly kind: "woken"; readonly ask: number; readonly failure: Failure | undefined }
  | { readonly kind: "tickets"; readonly secret: Uint8Array }
  | { readonly kind: "reload-files" }
  | { readonly kind: "parts"; readonly parts: readonly Part[] }
  | { readonly kind: "stop"; readonly graceMs: number }

export type FromLoop =
  | { readonly kind: "answer"; readonly ask: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly ask: number; readonly failure: Failure }
  | { readonly kind: "word"; readonly word: Word }
  | { readonly kind: "log"; readonly level: LogLevel; readonly event: string; readonly fields: LogFields | undefined }
  | { readonly kind: "wake"; readonly ask: number; readonly app: string; readonly target: string }
  /** Whoever asked has left. */
  | { readonly kind: "unwake"; readonly ask: number }
  | { readonly kind: "use"; readonly use: "busy" | "idle" | "refused"; readonly app: string; readonly target: string }
  | { readonly kind: "demands"; readonly demands: readonly Demand[] }
  | { readonly kind: "stopped" }
