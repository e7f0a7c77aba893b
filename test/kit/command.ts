/** The real command `rdv` as a child process: what it says line by line, how it ends. */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import * as http from "node:http"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const main = resolve(import.meta.dirname, "../../src/cli/main.ts")
/** Nothing that is waited for takes longer on a busy machine, ms. */
const patienceMs = 45_000

export interface CommandOptions {
  /** A folder of its own for each relay or agent that shall not know the others. */
  readonly data: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** How long `runCommand` waits for its end, ms. */
  readonly patienceMs?: number
  /** In place of the command line from source. */
  readonly script?: string
  /** A command that becomes the given one, such as `prlimit --nofile=64`. */
  readonly through?: readonly string[]
}

/** One JSON line of the command's standard output. */
export type CommandRecord = { readonly [key: string]: unknown }

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export class RunningCommand implements AsyncDisposable {
  readonly pid: number
  readonly ended: Promise<Ended>
  readonly #args: readonly string[]
  readonly #child: ReturnType<typeof spawn>
  #stdout = ""
  #stderr = ""
  #over = false
  #watchers: (() => void)[] = []
  #taken = 0

  constructor(args: readonly string[], options: CommandOptions) {
    this.#args = args
    // Nothing of the caller's own set-up may leak in.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(RDV_|NODE_TEST)|_proxy$/i.test(name)),
    )
    const words = [...(options.through ?? []), process.execPath, options.script ?? main, ...args]
    this.#child = spawn(words[0] as string, words.slice(1), {
      cwd: options.cwd ?? options.data,
      env: { ...env, NO_COLOR: "1", RDV_DATA: options.data, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    })
    this.pid = this.#child.pid ?? 0
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#heard(() => (this.#stdout += text)))
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#heard(() => (this.#stderr += text)))
    this.ended = new Promise((done, fail) => {
      this.#child.once("error", fail)
      this.#child.once("close", (code) => {
        this.#heard(() => (this.#over = true))
        done({ code, stdout: this.#stdout, stderr: this.#stderr })
      })
    })
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    this.#child.kill(signal)
  }

  /** The next JSON line with this event; rejects when the command ends before. */
  async event(name: string): Promise<CommandRecord> {
    let found: CommandRecord | undefined
    await this.#until(`the event ${name}`, () => {
      const lines = this.#stdout.split("\n").slice(0, -1)
      for (; found === undefined && this.#taken < lines.length; this.#taken++) {
        const record = JSON.parse(lines[this.#taken] as string) as CommandRecord
        if (record["event"] === name) found = record
      }
      return found !== undefined
    })
    return found as CommandRecord
  }

  async says(pattern: RegExp): Promise<void> {
    await this.#until(`a line like ${pattern}`, () => pattern.test(this.#stdout) || pattern.test(this.#stderr))
  }

  /** Ends it in good order, if it still runs, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over) this.kill("SIGTERM")
    const timer = setTimeout(() => this.kill("SIGKILL"), patienceMs)
    await this.ended
    clearTimeout(timer)
  }

  #heard(note: () => void): void {
    note()
    for (const watcher of this.#watchers) watcher()
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    if (holds()) return
    await new Promise<void>((done, fail) => {
      const settle = (error?: Error) => {
        clearTimeout(timer)
        this.#watchers = this.#watchers.filter((each) => each !== watcher)
        if (error === undefined) done()
        else fail(error)
      }
      const story = (why: string) =>
        new Error(`rdv ${this.#args.join(" ")}: ${why} before ${what}\n${this.#stdout}\n${this.#stderr}`)
      const watcher = () => {
        if (holds()) settle()
        else if (this.#over) settle(story("it ended"))
      }
      const timer = setTimeout(() => settle(story("time was up")), patienceMs)
      this.#watchers.push(watcher)
    })
  }
}

/** Runs it to its end. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<Ended> {
  await using command = new RunningCommand(args, options)
  const timer = setTimeout(() => command.kill("SIGKILL"), options.patienceMs ?? patienceMs)
  const ended = await command.ended
  clearTimeout(timer)
  return ended
}

/** A relay on a free port; `address` is what agents dial. */
export async function startRelayCommand(
  args: readonly string[],
  options: CommandOptions,
): Promise<{ relay: RunningCommand; address: string; port: number }> {
  const relay = new RunningCommand(["relay", "--listen", "127.0.0.1:0", "--json", ...args], options)
  const { addresses } = (await relay.event("listening")) as { addresses?: string[] }
  const address = addresses?.[0] ?? ""
  return { relay, address, port: Number(address.split(":").at(-1)) }
}

/** A new token of the relay whose data lie there. */
export async function newToken(name: string, data: string, ...flags: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(["token", "new", name, ...flags], { data })
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

/** A folder that is gone when the test is over. */
export function temporaryFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "rdv-cli-"))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** What a visitor gets at `url`, although this machine may not resolve names below localhost. */
export function visit(url: string, path = "/", headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const { host, port } = new URL(url)
  return new Promise((done, fail) => {
    const asking = http.get(
      { host: "127.0.0.1", port, path, agent: false, headers: { ...headers, host } },
      (answer) => {
        let body = ""
        answer.setEncoding("utf8").on("data", (text: string) => (body += text))
        answer.on("end", () => done({ status: answer.statusCode ?? 0, headers: answer.headers, body }))
        answer.on("error", fail)
      },
    )
    asking.on("error", fail)
  })
}

/** What everything that a user does wrong looks like. */
export function assertOneLine(ended: Ended, code: number, pattern: RegExp): void {
  assert.equal(ended.code, code, ended.stderr)
  const lines = ended.stderr.trimEnd().split("\n")
  assert.match(lines.at(-1) as string, pattern)
  assert.match(lines.at(-1) as string, /^rdv: /)
  assert.doesNotMatch(ended.stderr, /^\s+at /m, "a stack trace")
  assert.deepEqual(
    lines.slice(0, -1).filter((line) => !line.startsWith("rdv: warning:")),
    [],
    "more than one line",
  )
}
