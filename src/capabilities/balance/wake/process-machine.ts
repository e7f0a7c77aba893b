/**
 * A process of ours: it is ended by SIGTERM to its group, and by SIGKILL when that does not help. When its first process
 * ends, whatever that had started ends too; and when we are gone, the guard does the same.
 */

import { delay } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { WakeSettings } from "../config/settings.ts"
import { Guard } from "./guard.ts"
import type { Machine, MachineOptions } from "./machine.ts"
import { OutputLines } from "./output-lines.ts"
import { ProcessGroup } from "./process-group.ts"
import { quoteLine } from "./quote-line.ts"

/** How often we look whether the group is empty, at first and at most, ms. */
const firstLookMs = 10
const mostLookMs = 200
/** After SIGKILL only a process in the hands of the kernel stays; we do not wait for it longer than this. */
const killedMs = 5_000

export class ProcessMachine implements Machine {
  readonly watched = true
  readonly #options: MachineOptions
  readonly #how: WakeSettings["how"] & { readonly kind: "process" }
  #running: { readonly group: ProcessGroup; readonly guard: Guard } | undefined
  #isStopping = false

  constructor(options: MachineOptions, how: WakeSettings["how"] & { readonly kind: "process" }) {
    this.#options = options
    this.#how = how
  }

  async start(signal: AbortSignal): Promise<void> {
    const { settings, clock, log } = this.#options
    signal.throwIfAborted()
    const output = new OutputLines(log, clock)
    // It stands before there is something to guard; between the next start and its word no code of ours can fail.
    const guard = new Guard({ stopMs: settings.stopMs, log })
    const group = new ProcessGroup({
      command: this.#how.command,
      cwd: this.#how.cwd,
      env: settings.env,
      output,
      clock,
      mayLeaveOthers: false,
      onExit: () => {
        // What it leaves behind would hold its port. During a stop they get the time that is left.
        if (!this.#isStopping) group.signal("SIGKILL")
      },
    })
    if (group.pid !== undefined) guard.watch(group.pid)
    this.#running = { group, guard }
    void group.exited.then((exit) => {
      if (this.#isStopping) return
      guard.dismiss()
      group.close()
      this.#running = undefined
      this.#options.onEnd(`it ${exit.text}${quoteLine(output.last)}`)
    })
    if (group.pid === undefined) throw new RdvError("unreachable", `it ${(await group.exited).text}`)
  }

  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined || this.#isStopping) return
    this.#isStopping = true
    const { clock, settings, log } = this.#options
    const { group, guard } = running
    guard.hold()
    const killAt = clock.now() + settings.stopMs
    group.signal("SIGTERM")
    if (!(await this.#isEmptyBy(group, killAt))) {
      log.warn("wake.killed", { reason: `it was still there ${settings.stopMs} ms after SIGTERM` })
      group.signal("SIGKILL")
      if (!(await this.#isEmptyBy(group, clock.now() + killedMs)))
        log.error("wake.stuck", { reason: "it does not end, even by SIGKILL", pid: group.pid })
    }
    guard.dismiss()
    group.close()
    this.#running = undefined
  }

  release(): void {
    throw new RdvError("internal", "A process of ours is never let go")
  }

  /** False: somebody is still there at that time. */
  async #isEmptyBy(group: ProcessGroup, at: number): Promise<boolean> {
    const { clock } = this.#options
    for (let waitMs = firstLookMs; group.runs; waitMs = Math.min(mostLookMs, waitMs * 1.5)) {
      const left = at - clock.now()
      if (left <= 0) return false
      await delay(clock, Math.min(waitMs, left))
    }
    return true
  }
}
