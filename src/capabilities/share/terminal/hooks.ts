/**
 * Tells others what happened to a share: a URL gets a POST of JSON, anything else is a command for the shell with the facts
 * in its environment. The transfer never waits for one; one that fails is a warning.
 */

import { spawn } from "node:child_process"
import { delay } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"

export type HookEvent = "client-done" | "all-done" | "done" | "failed"

/** They become fields of the JSON, and `RDV_SHARE_…` with the name in capitals: `durationMs` is `RDV_SHARE_DURATION_MS`. */
export interface HookFacts {
  readonly event: HookEvent
  readonly swarm: string
  /** What is shared. */
  readonly name?: string | undefined
  readonly bytes?: number | undefined
  readonly version?: number | undefined
  /** Who is through, or failed. */
  readonly client?: string | undefined
  /** From its joining to its end. */
  readonly durationMs?: number | undefined
  readonly reason?: string | undefined
  /** Where it was put. */
  readonly path?: string | undefined
}

export interface HooksOptions {
  readonly hooks: { readonly [event in HookEvent]?: readonly string[] }
  readonly clock: Clock
  /** One line; a hook failed or was left out. */
  readonly onTrouble: (text: string) => void
  /** What a command wrote, line by line. */
  readonly onOutput: (line: string) => void
  /** For a request or a command, ms. Default 10 000 and 60 000. */
  readonly requestMs?: number
  readonly commandMs?: number
  /** Between the tries of a request, ms. Default 1 000. */
  readonly againMs?: number
}

/** At the same time; the others wait. */
const atOnce = 4
const mostWaiting = 1_000
const triesOfRequests = 3
/** For the rest of a command's output, ms. */
const afterExitMs = 300
/** Of a command's output; the rest is dropped. */
const mostOutput = 16 * 1024

export class Hooks {
  readonly #options: HooksOptions
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #stopped: AbortController = new AbortController()
  readonly #idle: (() => void)[] = []
  #running = 0
  #left = 0

  constructor(options: HooksOptions) {
    this.#options = options
  }

  /** Returns at once. Behind the end nothing is told. */
  tell(facts: HookFacts): void {
    if (this.#stopped.signal.aborted) return
    for (const hook of this.#options.hooks[facts.event] ?? []) {
      if (this.#waiting.length >= mostWaiting) {
        this.#left++
        if (this.#left === 1) this.#options.onTrouble("hooks are too slow for what happens: some events were left out")
        continue
      }
      this.#waiting.push(() => this.#run(hook, facts))
    }
    this.#next()
  }

  /** When all are through, or after `withinMs`, and then those that still run are stopped. */
  async finish(withinMs: number): Promise<void> {
    if (this.#running > 0) {
      const timer = this.#options.clock.after(withinMs, () => this.#stop())
      await new Promise<void>((resolve) => this.#idle.push(resolve))
      timer.cancel()
    }
    this.#stop()
  }

  #stop(): void {
    this.#waiting.length = 0
    this.#stopped.abort(new RdvError("cancelled", "there was no time left for it"))
  }

  #next(): void {
    while (this.#running < atOnce && this.#waiting.length > 0) {
      this.#running++
      const task = this.#waiting.shift() as () => Promise<void>
      void task().finally(() => {
        this.#running--
        this.#next()
        if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
      })
    }
  }

  async #run(hook: string, facts: HookFacts): Promise<void> {
    try {
      if (isUrl(hook)) await this.#post(hook, facts)
      else await this.#command(hook, facts)
    } catch (error) {
      this.#options.onTrouble(`the hook for ${facts.event}, ${shown(hook)}, failed: ${asRdvError(error).message}`)
    }
  }

  async #post(url: string, facts: HookFacts): Promise<void> {
    const { clock, againMs = 1_000, requestMs = 10_000 } = this.#options
    const body = JSON.stringify({ ...facts, at: new Date(clock.wall()).toISOString() })
    for (let tries = 1; ; tries++) {
      try {
        const answer = await fetch(url, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body,
          signal: AbortSignal.any([AbortSignal.timeout(requestMs), this.#stopped.signal]),
        })
        await answer.body?.cancel()
        if (answer.ok) return
        const error = new RdvError("bad_response", `it answered ${answer.status}`)
        // What is wrong with our request does not change by itself.
        if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) throw new Final(error)
        throw error
      } catch (thrown) {
        if (thrown instanceof Final) throw thrown.error
        if (tries >= triesOfRequests || this.#stopped.signal.aborted) throw reasonOf(thrown)
      }
      await delay(clock, againMs * tries, this.#stopped.signal)
    }
  }

  #command(command: string, facts: HookFacts): Promise<void> {
    const { commandMs = 60_000, clock, onOutput } = this.#options
    const signal = this.#stopped.signal
    return new Promise((resolve, reject) => {
      const child = spawn(command, {
        shell: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...noSecrets, ...environmentOf(facts) },
        // A group of its own, so that what the shell started ends with it.
        detached: process.platform !== "win32",
      })
      let why: string | undefined
      const end = (reason: string) => {
        why ??= reason
        if (child.pid === undefined) return
        try {
          if (process.platform === "win32") child.kill()
          else process.kill(-child.pid, "SIGKILL")
        } catch {
          // It has ended meanwhile.
        }
      }
      const onStop = () => end("there was no time left for it")
      const timer = clock.after(commandMs, () => end(`it took longer than ${Math.round(commandMs / 1_000)} s`))
      signal.addEventListener("abort", onStop, { once: true })
      const tell = linesOf(onOutput)
      child.stdout.setEncoding("utf8").on("data", (text: string) => tell.add(text))
      child.stderr.setEncoding("utf8").on("data", (text: string) => tell.add(text))
      const settle = (error?: Error) => {
        timer.cancel()
        signal.removeEventListener("abort", onStop)
        tell.end()
        if (error === undefined) resolve()
        else reject(error)
      }
      child.once("error", settle)
      // Its output may be held open by what it left in the background.
      child.once("exit", () => {
        clock.after(afterExitMs, () => {
          child.stdout.destroy()
          child.stderr.destroy()
        })
      })
      child.once("close", (code, killed) => {
        if (code === 0) settle()
        else settle(new RdvError("internal", why ?? `it ended with ${code ?? killed}`))
      })
    })
  }
}

/** What may be retried in vain. */
class Final extends Error {
  readonly error: RdvError

  constructor(error: RdvError) {
    super(error.message)
    this.error = error
  }
}

function isUrl(hook: string): boolean {
  return /^https?:\/\//i.test(hook)
}

/** A URL's path and query may be a secret. */
function shown(hook: string): string {
  if (isUrl(hook)) return URL.parse(hook)?.origin ?? "a URL"
  return JSON.stringify(hook.length > 60 ? `${hook.slice(0, 59)}…` : hook)
}

function reasonOf(thrown: unknown): RdvError {
  if (thrown instanceof RdvError) return thrown
  const { name, message, cause } = thrown as Error
  if (name === "TimeoutError") return new RdvError("timeout", "no answer in time", { cause: thrown })
  return new RdvError("unreachable", cause instanceof Error ? cause.message : message, { cause: thrown })
}

/** What a command starts may live long, and write down what it finds. */
const noSecrets = { RDV_SHARE_PASSWORD: undefined, RDV_SHARE_CODE: undefined }

function environmentOf(facts: HookFacts): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts)
      .filter(([, value]) => value !== undefined)
      // An environment holds no NUL.
      .map(([name, value]) => [`RDV_SHARE_${snake(name)}`, String(value).replaceAll("\0", "")]),
  )
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

function linesOf(onLine: (line: string) => void): { add(text: string): void; end(): void } {
  let rest = ""
  let taken = 0
  return {
    add(text) {
      if (taken >= mostOutput) return
      taken += text.length
      const lines = (rest + text).split("\n")
      rest = lines.pop() as string
      for (const line of lines) onLine(line)
    },
    end() {
      if (rest !== "") onLine(rest)
      rest = ""
    },
  }
}
