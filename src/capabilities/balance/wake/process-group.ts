/** A program of the user's and all that it starts, as one process group, so that a signal reaches all of them. */

import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import type { Clock } from "../../../base/clock.ts"
import type { OutputLines } from "./output-lines.ts"

/** How long the last output may take after the program itself has ended, ms. */
const lastWordsMs = 200

export interface GroupOptions {
  /** The program and its arguments; no shell looks at them. */
  readonly command: readonly string[]
  readonly cwd: string | undefined
  /** Beside our own environment without our token. */
  readonly env: Readonly<Record<string, string>>
  readonly output: OutputLines
  readonly clock: Clock
  /** What it starts may live on and hold its output, so that there is no end of it to wait for. */
  readonly mayLeaveOthers: boolean
  /** The program itself has ended, or could not be started; others of its group may still be there. Called once. */
  readonly onExit: () => void
}

export interface Exit {
  /** By itself, with code 0. */
  readonly ok: boolean
  /** A clause: `ended with code 1`, `was ended by SIGKILL`. */
  readonly text: string
}

export class ProcessGroup {
  /** Undefined: it could not be started. */
  readonly pid: number | undefined
  /** Settles once the program has ended and its last words are heard. Never rejects. */
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess | undefined
  #hasEnded = false
  readonly #options: GroupOptions

  constructor(options: GroupOptions) {
    this.#options = options
    const { command, cwd, env } = options
    const { promise, resolve } = Promise.withResolvers<Exit>()
    this.exited = promise
    try {
      this.#child = spawn(command[0] ?? "", command.slice(1), {
        ...(cwd !== undefined && { cwd }),
        env: { ...process.env, RDV_TOKEN: undefined, ...env },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      })
    } catch (error) {
      resolve({ ok: false, text: startFailure(options, error as Error) })
      queueMicrotask(options.onExit)
      return
    }
    this.pid = this.#child.pid
    this.#listen(this.#child, resolve)
  }

  /** To everybody in the group; false when nobody is there any more. */
  signal(name: NodeJS.Signals | 0): boolean {
    if (this.pid === undefined) return false
    // Windows has no groups: a signal ends the program alone, at once.
    if (process.platform === "win32") return !this.#hasEnded && (name === 0 || this.#child?.kill(name) === true)
    try {
      return process.kill(-this.pid, name)
    } catch (error) {
      // EPERM: somebody is there who changed the user. Whoever asks for the group's end shall go on waiting.
      return (error as NodeJS.ErrnoException).code === "EPERM"
    }
  }

  /** Somebody of the group still runs. */
  get runs(): boolean {
    if (!this.signal(0)) return false
    // Where nobody collects the dead (process 1 of many containers), they stay in the group and can be signalled.
    return !this.#hasEnded || this.pid === undefined || hasLiving(this.pid)
  }

  /** Nobody listens any more: the pipes are closed. */
  close(): void {
    this.#child?.stdout?.destroy()
    this.#child?.stderr?.destroy()
    this.#options.output.end()
  }

  #listen(child: ChildProcess, resolve: (exit: Exit) => void): void {
    const { output, clock, mayLeaveOthers, onExit } = this.#options
    child.stdout?.on("data", (chunk: Uint8Array) => output.push("stdout", chunk))
    child.stderr?.on("data", (chunk: Uint8Array) => output.push("stderr", chunk))
    let isOver = false
    child.on("error", (error) => {
      // It may also mean that a signal could not be sent, which changes nothing here.
      if (isOver || child.pid !== undefined) return
      isOver = true
      resolve({ ok: false, text: startFailure(this.#options, error) })
      onExit()
    })
    child.on("exit", (code, signal) => {
      if (isOver) return
      isOver = true
      this.#hasEnded = true
      const text = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
      const settle = () => {
        timer.cancel()
        resolve({ ok: code === 0, text })
      }
      // In good order there is nothing to quote.
      const timer = clock.after(mayLeaveOthers && code === 0 ? 0 : lastWordsMs, settle)
      child.once("close", settle)
      onExit()
    })
  }
}

/** Looks through all processes of a Linux system; elsewhere the answer is yes. */
function hasLiving(group: number): boolean {
  if (process.platform !== "linux") return true
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1")
      // `pid (name) state parent group …`; the name may hold anything.
      const [state, , of] = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 3)
      if (Number(of) === group && state !== "Z" && state !== "X") return true
    } catch {
      // It ended while we looked.
    }
  }
  return false
}

function startFailure({ command, cwd }: GroupOptions, error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === "ENOENT" && cwd !== undefined && !existsSync(cwd))
    return `could not be started: there is no folder ${cwd}`
  if (code === "ENOENT") return `could not be started: there is no program ${command[0] ?? ""}`
  if (code === "EACCES") return `could not be started: ${command[0] ?? ""} may not be executed`
  return `could not be started: ${error.message}`
}
