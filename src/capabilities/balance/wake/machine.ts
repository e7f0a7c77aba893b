/**
 * What is started for a connection and stopped when nobody needs it: a process of ours, whatever a pair of commands
 * controls, or whatever listens to webhooks. One machine is one life: it is started once and stopped once.
 */

import type { Clock } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import type { WakeSettings } from "../config/settings.ts"
import { CommandMachine } from "./command-machine.ts"
import { HookMachine } from "./hook-machine.ts"
import { ProcessMachine } from "./process-machine.ts"

export interface Machine {
  /** It lives under our eyes: `onEnd` is called when it ends by itself, and `stop` resolves when it is gone. */
  readonly watched: boolean
  /**
   * Resolves when it has been told to start, which is not yet when it is ready. Rejects with what went wrong; when the
   * signal fires, with its reason. `stop` has to be called in any case.
   */
  start(signal: AbortSignal): Promise<void>
  /** Ends it, also in the middle of its start. Never rejects: what went wrong is in the log. */
  stop(): Promise<void>
  /** Instead of `stop`: it runs on or has gone, and is nobody's business any more. */
  release(): void
}

export interface MachineOptions {
  /** The target's name. */
  readonly target: string
  readonly settings: WakeSettings
  readonly clock: Clock
  readonly log: Log
  /** It has ended, and nobody had asked for it; `reason` is a clause: `it ended with code 1 (last line: …)`. */
  readonly onEnd: (reason: string) => void
}

export type MakeMachine = (options: MachineOptions) => Machine

export const makeMachine: MakeMachine = (options) => {
  const { how } = options.settings
  switch (how.kind) {
    case "process":
      return new ProcessMachine(options, how)
    case "commands":
      return new CommandMachine(options, how)
    case "hooks":
      return new HookMachine(options, how)
  }
}
