/** A share whose relay, sender and receivers are processes that a test kills and starts again, each with what it had. */

import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { RunningCommand, startRelayCommand } from "./command.ts"
import { LineProcess } from "./line-process.ts"
import type { LineEvent } from "./line-process.ts"
import type { ReceiversSettings } from "./run-share-receivers.ts"

const runner = resolve(import.meta.dirname, "run-share-receivers.ts")

export interface MortalsOptions {
  readonly home: string
  readonly bytes: number
  readonly relayFlags?: readonly string[]
  readonly shareFlags?: readonly string[]
}

export class Mortals implements AsyncDisposable {
  readonly file: string
  readonly code: string
  readonly groups: ReceiverGroup[] = []
  readonly #options: MortalsOptions
  #relay: RunningCommand
  #sender: RunningCommand
  readonly #address: string
  readonly #port: number
  readonly #digest: string
  kills = 0
  #relayLog = ""

  private constructor(
    options: MortalsOptions,
    parts: { file: string; code: string; relay: RunningCommand; sender: RunningCommand; address: string; port: number },
  ) {
    this.#options = options
    this.file = parts.file
    this.code = parts.code
    this.#relay = parts.relay
    this.#sender = parts.sender
    this.#address = parts.address
    this.#port = parts.port
    this.#digest = digestOf(parts.file)
  }

  static async start(options: MortalsOptions): Promise<Mortals> {
    const { home, bytes, relayFlags = [], shareFlags = [] } = options
    for (const name of ["relay", "sender", "source"]) mkdirSync(join(home, name))
    const file = join(home, "source", "big.bin")
    writeFileSync(file, randomBytes(bytes))
    const { relay, address, port } = await startRelayCommand(["--open", ...relayFlags], { data: join(home, "relay") })
    const sender = new RunningCommand(["share", file, "--relay", address, "--json", ...shareFlags], {
      data: join(home, "sender"),
    })
    try {
      const { code } = (await sender.event("share.published")) as { code?: string }
      return new Mortals(options, { file, code: code ?? "", relay, sender, address, port })
    } catch (error) {
      sender.kill("SIGKILL")
      relay.kill("SIGKILL")
      throw error
    }
  }

  get relayAddress(): string {
    return this.#address
  }

  get sender(): RunningCommand {
    return this.#sender
  }

  /** What relays logged, all of them. */
  get relayLog(): string {
    return this.#relayLog + this.#relay.stderr
  }

  /** In a process of their own. */
  receivers(
    names: readonly string[],
    options: { direct?: boolean; serveMs?: number; relay?: string } = {},
  ): ReceiverGroup {
    const home = join(this.#options.home, "received")
    for (const name of names) mkdirSync(join(home, name), { recursive: true })
    const { direct = true, serveMs = 60_000, relay = this.#address } = options
    const group = new ReceiverGroup({ relay, code: this.code, names, home, direct, serveMs })
    this.groups.push(group)
    return group
  }

  async killSender(): Promise<void> {
    this.kills++
    this.#sender.kill("SIGKILL")
    await this.#sender.ended
  }

  /** As somebody does who types the command again, with the code. */
  async returnSender(): Promise<void> {
    const { home, shareFlags = [] } = this.#options
    const args = ["share", this.file, "--code", this.code, "--relay", this.#address, "--json", ...shareFlags]
    this.#sender = new RunningCommand(args, { data: join(home, "sender") })
    await this.#sender.event("share.published")
  }

  async killRelay(): Promise<void> {
    this.kills++
    this.#relay.kill("SIGKILL")
    this.#relayLog += (await this.#relay.ended).stderr
  }

  async returnRelay(): Promise<void> {
    const { home, relayFlags = [] } = this.#options
    const args = ["relay", "--listen", `127.0.0.1:${this.#port}`, "--json", "--open", ...relayFlags]
    this.#relay = new RunningCommand(args, { data: join(home, "relay") })
    await this.#relay.event("listening")
  }

  /** Those who live and lack something, with what they wait for. */
  laggards(): string[] {
    return this.groups.filter(({ isDead }) => !isDead).flatMap((group) => group.laggards())
  }

  /** Names of those who live and whose bytes are others. */
  wrong(): string[] {
    const home = join(this.#options.home, "received")
    const alive = this.groups.filter(({ isDead }) => !isDead).flatMap(({ names }) => names)
    return alive.filter((name) => {
      const path = join(home, name, "big.bin")
      return !existsSync(path) || digestOf(path) !== this.#digest || readdirSync(join(home, name)).length !== 1
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const group of this.groups) group.end()
    this.#sender.kill("SIGKILL")
    this.#relay.kill("SIGKILL")
    await Promise.all([...this.groups.map(({ ended }) => ended), this.#sender.ended, this.#relay.ended])
  }
}

export class ReceiverGroup {
  readonly names: readonly string[]
  isDead = false
  readonly failures: string[] = []
  readonly #settings: ReceiversSettings
  readonly #done: Set<string> = new Set()
  readonly #last: Map<string, string> = new Map()
  #process: LineProcess

  constructor(settings: ReceiversSettings) {
    this.#settings = settings
    this.names = settings.names
    this.#process = this.#start()
  }

  get ended(): Promise<unknown> {
    return this.#process.ended
  }

  /** What each waits for, in its own words. */
  waits(): (string | undefined)[] {
    return this.names.map((name) => {
      const last = this.#last.get(name)
      return last === undefined ? undefined : (JSON.parse(last) as { waitsFor?: string }).waitsFor
    })
  }

  get haveBytes(): number {
    let bytes = 0
    for (const last of this.#last.values()) bytes += (JSON.parse(last) as { haveBytes?: number }).haveBytes ?? 0
    return bytes
  }

  laggards(): string[] {
    return this.names
      .filter((name) => !this.#done.has(name))
      .map((name) => `${name}: ${this.#last.get(name) ?? "nothing was heard"}`)
  }

  async kill(): Promise<void> {
    this.end()
    await this.#process.ended
  }

  end(): void {
    this.isDead = true
    this.#process.signal("SIGCONT")
    this.#process.signal("SIGKILL")
  }

  signal(name: NodeJS.Signals): void {
    this.#process.signal(name)
  }

  returns(): void {
    this.isDead = false
    this.#last.clear()
    this.#process = this.#start()
  }

  #start(): LineProcess {
    return new LineProcess(process.execPath, [runner, JSON.stringify(this.#settings)], (event) => this.#hear(event))
  }

  #hear(event: LineEvent): void {
    const name = String(event["name"])
    if (event["event"] === "done") this.#done.add(name)
    else if (event["event"] === "figures") this.#last.set(name, JSON.stringify(event))
    else if (event["event"] === "failed") this.failures.push(`${name}: ${JSON.stringify(event)}`)
  }
}

export function digestOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex")
}

/** Looks again and again until nothing is listed; fails with what still is. */
export async function none(
  t: TestContext,
  what: string,
  list: () => readonly string[],
  withinMs: number,
): Promise<void> {
  const began = performance.now()
  for (;;) {
    const left = list()
    if (left.length === 0) return
    if (performance.now() - began > withinMs) {
      for (const line of left) t.diagnostic(line)
      assert.fail(`Not within ${withinMs} ms: ${what}; ${left.length} left, the first: ${left[0]}`)
    }
    await sleep(20)
  }
}
