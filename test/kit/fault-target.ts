/** Targets of a balancer that can be killed, frozen and told to misbehave: each a process of its own. */

import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { resolve } from "node:path"
import type { FaultTargetSettings } from "./run-fault-target.ts"

const program = resolve(import.meta.dirname, "run-fault-target.ts")
/** A busy machine takes its time for a process, ms. */
const startMs = 15_000

export class FaultTarget implements AsyncDisposable {
  readonly port: number
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  private constructor(child: ChildProcess, port: number) {
    this.port = port
    this.#child = child
    this.#ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve()
  }

  /** Listens when this resolves. `through` is a command that becomes the given one, such as `ip netns exec NAME`. */
  static async start(settings: FaultTargetSettings, through: readonly string[] = []): Promise<FaultTarget> {
    const words = [...through, process.execPath, program, JSON.stringify(settings)]
    const child = spawn(words[0] as string, words.slice(1), { stdio: ["pipe", "pipe", "inherit"] })
    child.stdin?.on("error", () => undefined)
    const line = await once(child.stdout as NodeJS.ReadableStream, "data", { signal: AbortSignal.timeout(startMs) })
    return new FaultTarget(child, (JSON.parse(String(line[0])) as { port: number }).port)
  }

  /** As a file for a balancer names it. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** SIGKILL: the kernel closes its connections; waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL")
    await this.#ended
  }

  /** It keeps its port and its connections, and does nothing. */
  freeze(): void {
    this.#child.kill("SIGSTOP")
  }

  thaw(): void {
    this.#child.kill("SIGCONT")
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}
