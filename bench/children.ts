/** The processes that a benchmark starts. Each is ended by its id, each wait has a deadline. */

import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

export class Child {
  readonly name: string
  readonly pid: number
  readonly #process: ChildProcess
  readonly #exited: Promise<number>
  #output = ""
  #code: number | undefined
  #heard: () => void = () => undefined

  constructor(name: string, command: string, args: readonly string[], options: StartOptions) {
    this.name = name
    this.#process = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options })
    this.#exited = new Promise((resolve) => {
      const over = (code: number): void => {
        this.#code ??= code
        this.#heard()
        resolve(code)
      }
      this.#process.on("error", (error) => {
        this.#output += error.message
        over(127)
      })
      this.#process.on("close", (code) => over(code ?? 1))
    })
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8")
      stream?.on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-maxOutput)
        this.#heard()
      })
    }
    this.pid = this.#process.pid ?? 0
  }

  /** What it said on both outputs, the end of it. */
  get output(): string {
    return this.#output
  }

  get running(): boolean {
    return this.#code === undefined
  }

  /** Waits for its output to match; rejects when it ends before, or after `timeoutMs`. */
  async until(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const match = pattern.exec(this.#output)
      if (match !== null) return match
      const left = deadline - Date.now()
      if (!this.running || left <= 0) {
        throw new Error(`${this.name} ${this.running ? "did not get ready" : "ended"}: ${this.#lastWords()}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#heard = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Waits for its end; rejects after `timeoutMs`, having ended it, or when its code is not 0. */
  async done(timeoutMs: number): Promise<string> {
    const timer = setTimeout(() => this.signal("SIGKILL"), timeoutMs)
    const code = await this.#exited
    clearTimeout(timer)
    if (code !== 0) {
      throw new Error(`${this.name} failed (${code}): ${this.#lastWords()}`)
    }
    return this.#output
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running && this.pid !== 0) this.#process.kill(signal)
  }

  /** The line that names the error where there is one, the last line otherwise. */
  #lastWords(): string {
    const lines = this.#output.trim().split("\n")
    return lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? ""
  }

  async stop(): Promise<void> {
    this.signal("SIGTERM")
    const timer = setTimeout(() => this.signal("SIGKILL"), patienceMs)
    await this.#exited
    clearTimeout(timer)
  }
}

export class Children {
  readonly #children: Set<Child> = new Set()
  readonly #folders: string[] = []

  constructor() {
    // The last resort: nothing may outlive us.
    process.on("exit", () => {
      for (const child of this.#children) child.signal("SIGKILL")
    })
  }

  start(name: string, command: string, args: readonly string[], options: StartOptions = {}): Child {
    const child = new Child(name, command, args, options)
    this.#children.add(child)
    return child
  }

  /** A program of this folder, or of the checkout, with the Node that runs us. */
  node(name: string, args: readonly string[], options: StartOptions = {}): Child {
    return this.start(name, process.execPath, args, options)
  }

  /** A folder that goes when everything is over. */
  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), "rdv-bench-"))
    this.#folders.push(folder)
    return folder
  }

  /** Ends those that were started last first. */
  async stop(): Promise<void> {
    await Promise.all([...this.#children].toReversed().map((child) => child.stop()))
    this.#children.clear()
    for (const folder of this.#folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  }
}

const maxOutput = 65_536
const patienceMs = 3_000
