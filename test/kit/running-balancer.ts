/** `rdv balance` as a process of its own, on a file that the test writes and writes again. */

import { execFileSync } from "node:child_process"
import { readFileSync, readdirSync, readlinkSync, renameSync, writeFileSync } from "node:fs"
import { once } from "node:events"
import { createServer } from "node:net"
import { join, resolve } from "node:path"
import { AdminClient } from "../../src/capabilities/balance/admin/admin-client.ts"
import type { AppSnapshot } from "../../src/capabilities/balance/observe/snapshot.ts"
import { RunningCommand, temporaryFolder } from "./command.ts"
import { rssOf, until } from "./processes.ts"

export interface BalancerOptions {
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** A command that becomes the given one, such as `prlimit --nofile=64`. */
  readonly through?: readonly string[]
}

/** A line of its log. */
export type LogLine = { readonly event?: string; readonly [key: string]: unknown }

export class RunningBalancer implements AsyncDisposable {
  readonly command: RunningCommand
  readonly file: string
  readonly admin: AdminClient
  readonly #folder: { readonly path: string } & Disposable
  #memoryAsked = 0

  private constructor(folder: { readonly path: string } & Disposable, command: RunningCommand) {
    this.#folder = folder
    this.command = command
    this.file = join(folder.path, "config.json")
    this.admin = new AdminClient({ kind: "socket", path: join(folder.path, `state/run/balance-${command.pid}.sock`) })
  }

  /** Has tried all of its ports when this resolves. */
  static async start(config: object, options: BalancerOptions = {}): Promise<RunningBalancer> {
    const folder = temporaryFolder()
    writeFileSync(join(folder.path, "config.json"), JSON.stringify(config))
    const { flags = [], env, through } = options
    const collect = `--expose-gc --import ${resolve(import.meta.dirname, "collect.ts")}`
    const command = new RunningCommand(["balance", "--json", "--log-format", "json", ...flags], {
      data: folder.path,
      env: { NODE_OPTIONS: collect, ...env },
      ...(through !== undefined && { through }),
    })
    try {
      await command.event("listening")
    } catch (error) {
      await command[Symbol.asyncDispose]()
      folder[Symbol.dispose]()
      throw error
    }
    return new RunningBalancer(folder, command)
  }

  get pid(): number {
    return this.command.pid
  }

  /** Another file in its place, as careful programs do it. */
  replace(config: object | string): void {
    const beside = `${this.file}.new`
    writeFileSync(beside, textOf(config))
    renameSync(beside, this.file)
  }

  /** Into the same file. */
  overwrite(config: object | string): void {
    writeFileSync(this.file, textOf(config))
  }

  async app(name: string): Promise<AppSnapshot> {
    const { apps } = await this.admin.snapshot()
    const found = apps.find((app) => app.name === name)
    if (found === undefined) throw new Error(`there is no app ${name}`)
    return found
  }

  /** Whole lines of its log, all or those of one event. */
  log(event?: string): LogLine[] {
    const lines = this.command.stderr.split("\n").slice(0, -1)
    const parsed = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as LogLine)
    return event === undefined ? parsed : parsed.filter((line) => line.event === event)
  }

  /** Waits for lines of one event; resolves with all that there are. */
  async logged(event: string, count = 1, deadlineMs = 15_000): Promise<LogLine[]> {
    await until(
      () => this.log(event).length >= count,
      `${count} × ${event} in the log\n${this.command.stderr}`,
      deadlineMs,
    )
    return this.log(event)
  }

  /** Of sockets, and of all else that it has open. */
  descriptors(): { readonly sockets: number; readonly all: number } {
    const folder = `/proc/${this.pid}/fd`
    let sockets = 0
    const all = readdirSync(folder)
    for (const descriptor of all) {
      try {
        if (readlinkSync(join(folder, descriptor)).startsWith("socket:")) sockets++
      } catch {
        // Closed while we looked.
      }
    }
    return { sockets, all: all.length }
  }

  /** So that only so many more can be opened, by Linux's command for it. It gives the lowest free number, which has gaps. */
  limitDescriptors(more: number): void {
    const used = new Set(readdirSync(`/proc/${this.pid}/fd`).map(Number))
    let limit = 0
    for (let free = 0; free < more; limit++) if (!used.has(limit)) free++
    execFileSync("prlimit", [`--pid=${this.pid}`, `--nofile=${limit}:`])
  }

  /** After a collection: what is resident, and what JavaScript holds, bytes. */
  async memory(): Promise<{ readonly resident: number; readonly used: number }> {
    this.command.kill("SIGUSR2")
    const line = new RegExp(`^memory ${++this.#memoryAsked} \\d+ (\\d+)$`, "m")
    await this.command.says(line)
    return { resident: rssOf(this.pid), used: Number(line.exec(this.command.stderr)?.[1]) }
  }

  /** Of its processor time so far, s. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  /** Waits for no connection that the test has left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.command.kill("SIGTERM")
    // Not the same once more: that could be the terminal's and npm's one.
    const again = setTimeout(() => this.command.kill("SIGINT"), 300)
    await this.command[Symbol.asyncDispose]()
    clearTimeout(again)
    this.#folder[Symbol.dispose]()
  }
}

/** Ports that nobody had a moment ago, and that the system gives nobody by itself. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = 10_000 + Math.floor(Math.random() * 22_000)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

/** On all addresses. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port), "listening")
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

function textOf(config: object | string): string {
  return typeof config === "string" ? config : JSON.stringify(config)
}
