/** Processes that print a JSON object per line: those of the Python implementation, and the command line with `--json`. */

import { spawn, spawnSync } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const env: NodeJS.ProcessEnv = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" }
const deadlineMs = 15_000

export type LineEvent = { readonly [key: string]: unknown }

/** Whoever starts it stops it. */
export class LineProcess implements AsyncDisposable {
  /** How it ended; standard output without the JSON lines. */
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
  readonly #child: ChildProcess
  readonly #events: LineEvent[] = []
  #stdout = ""
  #stderr = ""
  #isOver = false
  #look: () => void = () => undefined

  /** `onEvent` hears each event when it is read. */
  constructor(command: string, args: readonly string[], onEvent: (event: LineEvent) => void = () => undefined) {
    this.#child = spawn(command, args, { cwd: root, env, stdio: ["pipe", "pipe", "pipe"] })
    this.#child.stdin?.on("error", () => undefined)
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text))
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      if (line.startsWith("{")) {
        const event = JSON.parse(line) as LineEvent
        this.#events.push(event)
        onEvent(event)
      } else this.#stdout += `${line}\n`
      this.#look()
    })
    this.ended = once(this.#child, "close").then(() => {
      this.#isOver = true
      this.#look()
      return { code: this.#child.exitCode, stdout: this.#stdout, stderr: this.#stderr }
    })
  }

  events(name: string): LineEvent[] {
    return this.#events.filter((each) => each["event"] === name)
  }

  count(event: string): number {
    return this.events(event).length
  }

  /** The `nth` event of this name, from 1; rejects when the process ends before or the deadline passes. */
  event(name: string, nth = 1): Promise<LineEvent> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) =>
        reject(new Error(`no ${name} ${nth}: ${why}\n${JSON.stringify(this.#events)}\n${this.#stderr}`))
      const timer = setTimeout(() => fail(`not within ${deadlineMs} ms`), deadlineMs)
      this.#look = () => {
        const found = this.events(name)[nth - 1]
        if (found === undefined && !this.#isOver) return
        clearTimeout(timer)
        if (found === undefined) fail("the process ended")
        else resolve(found)
      }
      this.#look()
    })
  }

  /** Into its standard input; without a line, the end of that. */
  say(line?: string): void {
    if (line === undefined) this.#child.stdin?.end()
    else this.#child.stdin?.write(`${line}\n`)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** SIGTERM; SIGKILL when that is not enough. */
  async stop(): Promise<void> {
    if (!this.#isOver) this.#child.kill("SIGTERM")
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), deadlineMs)
    await this.ended
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Why tests with Python cannot run here, in one line; false when they can. */
export function missingPython(): string | false {
  if (process.platform === "win32") return "the Python programs need a POSIX system"
  const { error, status } = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"])
  if (error !== undefined) return "python3 is not installed; install Python 3.11 or later"
  return status === 0 ? false : "python3 is older than 3.11; install Python 3.11 or later"
}
