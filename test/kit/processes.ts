/**
 * Relay and agent as processes of their own, for what cannot be shown within one: memory, frozen and killed processes.
 * Readiness and events come as JSON lines from the child's standard output; nothing is awaited without a deadline.
 */

import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { SessionStatus } from "../../src/mux/session-stats.ts"
import type { AgentProcessSettings, ProcessSettings, RelayProcessSettings } from "./run-process.ts"

export interface ProcessEvent {
  readonly event: string
  /** Since the start of the process, ms. */
  readonly at: number
  readonly [key: string]: unknown
}

export interface TestProcess {
  readonly pid: number
  readonly events: readonly ProcessEvent[]
  /** The first event since `from` (an index of `events`) that matches; rejects after `deadlineMs`. */
  event(
    match: string | ((event: ProcessEvent) => boolean),
    options?: { from?: number; deadlineMs?: number },
  ): Promise<ProcessEvent>
  ask(what: "status" | "memory" | "refresh"): Promise<unknown>
  /** The sessions that the process has, as `rdv status` shows them. */
  sessions(): Promise<SessionStatus[]>
  /** Resident memory now, bytes; does not disturb the process. */
  rss(): number
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code or the signal. */
  readonly exited: Promise<number | string>
  /** SIGKILL, and waits. */
  kill(): Promise<void>
}

const runner = fileURLToPath(new URL("run-process.ts", import.meta.url))

/**
 * Starts the process and waits until it is ready. Whoever starts it kills it. `through` is a command that becomes the
 * given one, such as `ip netns exec NAME`.
 */
export async function startProcess(settings: ProcessSettings, through: readonly string[] = []): Promise<TestProcess> {
  const words = [...through, process.execPath, "--expose-gc", runner, JSON.stringify(settings)]
  const child = spawn(words[0] as string, words.slice(1), {
    stdio: ["pipe", "pipe", "inherit"],
  })
  const started = new ChildOfTest(child)
  await started.event("ready")
  return started
}

export interface RelayProcess extends TestProcess {
  readonly port: number
}

/** On a port of 127.0.0.1 that the system chose, without a store on disk, open to anonymous agents. */
export async function startRelayProcess(
  settings: Partial<Omit<RelayProcessSettings, "role">> & { readonly port?: number } = {},
): Promise<RelayProcess> {
  const { port = 0, ...rest } = settings
  const started = await startProcess({ role: "relay", listen: [`127.0.0.1:${port}`], store: ":memory:", ...rest })
  const [bound] = (started.events[0] as unknown as { ports: number[] }).ports
  return Object.assign(started, { port: bound as number })
}

/** Waits until every tunnel has its public name. */
export async function startAgentProcess(
  settings: Omit<AgentProcessSettings, "role">,
  through: readonly string[] = [],
): Promise<TestProcess> {
  const started = await startProcess({ role: "agent", ...settings }, through)
  for (const at of settings.tunnels.keys()) {
    await started.event(({ event, tunnel }) => (event === "exposed" || event === "refused") && tunnel === at)
  }
  return started
}

/** The resident memory of a process, bytes. */
export function rssOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Number(kilobytes) * 1024
}

class ChildOfTest implements TestProcess {
  readonly events: ProcessEvent[] = []
  readonly exited: Promise<number | string>
  readonly #child: ChildProcess
  readonly #answers: Map<number, (value: unknown) => void> = new Map()
  #watchers: (() => void)[] = []
  #nextAsk = 1

  constructor(child: ChildProcess) {
    this.#child = child
    this.exited = once(child, "exit").then(([code, signal]) => (code as number | null) ?? (signal as string))
    child.stdin?.on("error", () => undefined)
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const said = JSON.parse(line) as { answer?: number; value?: unknown }
      if (said.answer === undefined) {
        this.events.push(said as unknown as ProcessEvent)
        for (const watch of this.#watchers.slice()) watch()
      } else {
        this.#answers.get(said.answer)?.(said.value)
        this.#answers.delete(said.answer)
      }
    })
  }

  get pid(): number {
    return this.#child.pid as number
  }

  event(
    match: string | ((event: ProcessEvent) => boolean),
    { from = 0, deadlineMs = 10_000 }: { from?: number; deadlineMs?: number } = {},
  ): Promise<ProcessEvent> {
    const matches = typeof match === "string" ? ({ event }: ProcessEvent) => event === match : match
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.events.slice(from).find(matches)
        if (found === undefined) return
        settle()
        resolve(found)
      }
      const timer = setTimeout(() => {
        settle()
        reject(
          new Error(`No event ${String(match)} within ${deadlineMs} ms; there were ${JSON.stringify(this.events)}`),
        )
      }, deadlineMs)
      const settle = () => {
        clearTimeout(timer)
        this.#watchers = this.#watchers.filter((each) => each !== look)
      }
      this.#watchers.push(look)
      look()
    })
  }

  ask(what: "status" | "memory" | "refresh"): Promise<unknown> {
    const id = this.#nextAsk++
    this.#child.stdin?.write(`${JSON.stringify({ ask: what, id })}\n`)
    return new Promise((resolve) => this.#answers.set(id, resolve))
  }

  async sessions(): Promise<SessionStatus[]> {
    const { sessions, session } = (await this.ask("status")) as {
      sessions?: SessionStatus[]
      session?: SessionStatus | null
    }
    return sessions ?? (session === null || session === undefined ? [] : [session])
  }

  rss(): number {
    return rssOf(this.pid)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL")
    await this.exited
  }
}

/** Looks again and again until `look` answers something true. */
export async function until<T>(look: () => T | Promise<T>, what: string, deadlineMs = 10_000): Promise<NonNullable<T>> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const value = await look()
    if (value) return value
    if (performance.now() > end) throw new Error(`Not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
