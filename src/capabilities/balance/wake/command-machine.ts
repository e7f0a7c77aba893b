/**
 * A pair of commands: one starts what is needed (`docker start web`), the other one stops it. Both have to end by
 * themselves, with code 0; what they leave behind is theirs, so nothing of it is ended here.
 */

import { RdvError, asRdvError } from "../../../base/error.ts"
import type { WakeSettings } from "../config/settings.ts"
import type { Machine, MachineOptions } from "./machine.ts"
import { OutputLines } from "./output-lines.ts"
import { ProcessGroup } from "./process-group.ts"
import { quoteLine } from "./quote-line.ts"

export class CommandMachine implements Machine {
  readonly watched = false
  readonly #options: MachineOptions
  readonly #how: WakeSettings["how"] & { readonly kind: "commands" }
  #starting: Promise<void> | undefined
  /** Of the start command: what it left behind may go on printing. */
  #started: ProcessGroup | undefined

  constructor(options: MachineOptions, how: WakeSettings["how"] & { readonly kind: "commands" }) {
    this.#options = options
    this.#how = how
  }

  start(signal: AbortSignal): Promise<void> {
    this.#starting = this.#run("start", this.#how.start, signal)
    return this.#starting
  }

  async stop(): Promise<void> {
    // A start that was given up has to be over before, or the two would meet.
    await this.#starting?.catch(() => undefined)
    await this.#runStop()
    this.release()
  }

  release(): void {
    this.#started?.close()
    this.#started = undefined
  }

  async #runStop(): Promise<void> {
    if (this.#how.stop === undefined) return
    const { clock, settings, log } = this.#options
    const { timeoutMs } = settings
    const patience = new AbortController()
    const late = () => patience.abort(new RdvError("timeout", `it was not over within ${timeoutMs} ms`))
    const timer = clock.after(timeoutMs, late)
    try {
      await this.#run("stop", this.#how.stop, patience.signal)
    } catch (error) {
      log.error("wake.stop_failed", { reason: asRdvError(error).message })
    } finally {
      timer.cancel()
    }
  }

  async #run(name: "start" | "stop", command: readonly string[], signal: AbortSignal): Promise<void> {
    const { settings, clock, log } = this.#options
    signal.throwIfAborted()
    const output = new OutputLines(log.with({ command: name }), clock)
    const group = new ProcessGroup({
      command,
      cwd: undefined,
      env: settings.env,
      output,
      clock,
      mayLeaveOthers: true,
      onExit: () => undefined,
    })
    const giveUp = () => group.signal("SIGKILL")
    signal.addEventListener("abort", giveUp, { once: true })
    const exit = await group.exited
    signal.removeEventListener("abort", giveUp)
    if (name === "start" && exit.ok) this.#started = group
    else group.close()
    signal.throwIfAborted()
    if (!exit.ok) throw new RdvError("unreachable", `the ${name} command ${exit.text}${quoteLine(output.last)}`)
  }
}
