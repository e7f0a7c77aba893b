/**
 * A swarm of this machine for `rdv share swarm`: a relay, a sender and as many receivers as wanted, all of them the real
 * programs, watched from outside.
 */

import { fork, spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { createHash, randomFillSync } from "node:crypto"
import { closeSync, createReadStream, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, extname, join } from "node:path"
import { createInterface } from "node:readline"
import { counted } from "../base/counted.ts"
import { RdvError } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import type { JsonObject } from "../base/json.ts"
import { machineSeconds } from "../capabilities/share/trial/machine-seconds.ts"
import { processFigures } from "../capabilities/share/trial/process-figures.ts"
import { TrialNetwork } from "../capabilities/share/trial/trial-network.ts"
import type { HostNetwork, TrialHost } from "../capabilities/share/trial/trial-network.ts"
import { leastTime, spread } from "../capabilities/share/trial/trial-summary.ts"
import type { Cost, TrialSummary } from "../capabilities/share/trial/trial-summary.ts"
import type { FromReceivers, ReceiversTask, ToReceivers } from "./swarm-receivers.ts"

export interface TrialOptions {
  readonly clients: number
  readonly perProcess: number
  /** Random bytes, or what is in `file`. */
  readonly bytes: number
  readonly file?: string | undefined
  /** Uplinks of the sender and of each receiver, bytes/s. */
  readonly uplink?: number | undefined
  readonly relayRate?: number | undefined
  readonly carrier?: "relay" | "direct" | undefined
  readonly cacheBytes?: string | undefined
  readonly direct: boolean
  readonly multicast: "auto" | "on" | "off"
  /** Hosts of their own on a bridge, with these links: one for the relay, the sender and each process of receivers. */
  readonly network?: HostNetwork | undefined
  /** Ends this part of the receivers' processes when half is done: 0.3. */
  readonly kill?: number | undefined
  readonly timeoutMs: number
  /** How many outputs are read again and compared, outside of the clock. */
  readonly checks: number
  readonly stopping: AbortSignal
  readonly say: (line: string) => void
}

export interface Trial {
  readonly summary: TrialSummary
  readonly samples: readonly { readonly at: number; readonly parts: readonly number[] }[]
  readonly done: readonly number[]
}

/** Rejects when the trial cannot be made, or is not through in time; whatever it started has ended then. */
export async function runTrial(options: TrialOptions): Promise<Trial> {
  const trial = new RunningTrial(options)
  try {
    return await trial.run()
  } finally {
    await trial.end()
  }
}

interface Group {
  readonly process: ChildProcess
  readonly from: number
  readonly to: number
  parts: readonly number[]
  isKilled: boolean
}

const main = join(import.meta.dirname, `main${extname(import.meta.filename)}`)
const receivers = join(import.meta.dirname, `swarm-receivers${extname(import.meta.filename)}`)

class RunningTrial {
  readonly #options: TrialOptions
  readonly #folder: string
  readonly #network: TrialNetwork | undefined
  readonly #processes: Set<ChildProcess> = new Set()
  readonly #groups: Group[] = []
  readonly #peaks: Map<number, Cost> = new Map()
  readonly #done: Map<number, number> = new Map()
  readonly #failed: Map<number, string> = new Map()
  readonly #samples: { at: number; parts: readonly number[] }[] = []
  #watch: NodeJS.Timeout | undefined
  #changed: () => void = () => undefined

  constructor(options: TrialOptions) {
    this.#options = options
    this.#network = options.network === undefined ? undefined : new TrialNetwork()
    this.#folder = mkdtempSync(join(tmpdir(), "rdv-swarm-"))
  }

  async run(): Promise<Trial> {
    const { clients, perProcess, say } = this.#options
    const file = this.#options.file ?? randomFile(join(this.#folder, "content.bin"), this.#options.bytes)
    const hash = await hashOf(file)
    const relayHost = this.#network?.add({})
    const relay = await this.#relay(relayHost)
    const senderHost = this.#network?.add(this.#options.network ?? {})
    const sender = await this.#sender(relay.address, file, senderHost)
    const forked = machineSeconds()
    for (let from = 0; from < clients; from += perProcess) {
      this.#receivers(relay.address, sender.code, from, Math.min(clients, from + perProcess))
    }
    say(`${counted(clients, "receiver")} in ${counted(this.#groups.length, "process", "processes")} are ready`)
    await this.#all("ready")
    const startSeconds = machineSeconds() - forked
    this.#watch = setInterval(() => this.#look(), lookMs)
    this.#look()
    const costs = () => this.#costs(relay.pid, sender.pid)
    const before = costs()
    const linkBefore = this.#sentBytes(senderHost)
    const started = machineSeconds()
    this.#start(started)
    await this.#through()
    const times = [...this.#done.values()].map((at) => at - started).toSorted((a, b) => a - b)
    clearInterval(this.#watch)
    this.#look()
    const after = costs()
    const linkBytes = this.#sentBytes(senderHost) - linkBefore
    const status = await relay.share()
    const via = await this.#over()
    await this.#check(hash, basename(file))
    const bytes = sender.bytes
    const out = numberOf(status["outBytes"])
    const relayCost = minus(after.relay, before.relay)
    const { uplink, network, relayRate, carrier } = this.#options
    const summary: TrialSummary = {
      clients,
      processes: this.#groups.length,
      bytes,
      seconds: times.at(-1) ?? 0,
      startSeconds,
      times: spread(times),
      bound: leastTime(bytes, clients, {
        senderUp: uplink ?? network?.up,
        receiverUp: uplink ?? network?.up,
        receiverDown: network?.down,
        relayUp: relayRate ?? (carrier === "direct" ? 0 : undefined),
      }),
      relay: {
        ...relayCost,
        inBytes: numberOf(status["inBytes"]),
        outBytes: out,
        inCopies: numberOf(status["inBytes"]) / bytes,
        outCopies: out / bytes,
        cpuSecondsPerGb: out < 1e6 ? undefined : relayCost.cpuSeconds / (out / 1e9),
      },
      sender: minus(after.sender, before.sender),
      ...(senderHost !== undefined && { senderLinkCopies: linkBytes / bytes }),
      receivers: minus(after.receivers, before.receivers),
      via,
      failed: [...this.#failed].map(([client, reason]) => ({ client: `client ${client}`, reason })),
    }
    return { summary, samples: this.#samples, done: times }
  }

  async end(): Promise<void> {
    clearInterval(this.#watch)
    for (const child of this.#processes) child.kill("SIGTERM")
    const timer = setTimeout(() => {
      for (const child of this.#processes) child.kill("SIGKILL")
    }, patienceMs)
    await Promise.all(
      [...this.#processes].map((child) =>
        child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve(),
      ),
    )
    clearTimeout(timer)
    this.#network?.remove()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #relay(host: TrialHost | undefined) {
    const { relayRate, carrier, cacheBytes } = this.#options
    const listen = host === undefined ? "127.0.0.1:0" : `${host.address}:7800`
    const args = ["relay", "--listen", listen, "--open", "--json", "--log-level", "error"]
    if (relayRate !== undefined) args.push("--share-rate", `${relayRate}B/s`)
    if (carrier !== undefined) args.push("--share-carrier", carrier)
    if (cacheBytes !== undefined) args.push("--share-cache", cacheBytes)
    const { child, line } = this.#command(args, host, (event) => event["event"] === "listening")
    const listening = await line
    const [address] = listening["addresses"] as string[]
    return {
      pid: pidOf(child),
      address: String(address),
      share: async (): Promise<JsonObject> => {
        const { child: asked, line: told } = this.#command(["status", "--json"], host, () => true)
        const status = await told
        this.#processes.delete(asked)
        return findShare(status) ?? {}
      },
    }
  }

  async #sender(relay: string, file: string, host: TrialHost | undefined) {
    const { uplink, direct, multicast } = this.#options
    const args = [
      "share",
      file,
      "--relay",
      relay,
      "--json",
      "--direct",
      direct ? "on" : "off",
      "--multicast",
      multicast,
    ]
    args.push("--seed-until", "forever")
    if (uplink !== undefined) args.push("--limit", `${uplink}B/s`)
    const { child, line } = this.#command(
      args,
      host,
      (event) => typeof event["code"] === "string" && event["event"] === "share.published",
    )
    const published = await line
    return { pid: pidOf(child), code: published["code"] as string, bytes: numberOf(published["bytes"]) }
  }

  #receivers(relay: string, code: string, from: number, to: number): void {
    const { uplink, direct, multicast, network } = this.#options
    const task: ReceiversTask = {
      relay,
      code,
      from,
      to,
      folder: this.#folder,
      limit: uplink,
      direct,
      multicast,
      serveMs: this.#options.timeoutMs,
    }
    for (let client = from; client < to; client++) mkdirSync(join(this.#folder, String(client)))
    const host = network === undefined ? undefined : this.#network?.add(network)
    const child =
      host === undefined
        ? fork(receivers, [JSON.stringify(task)], { stdio: ["ignore", "ignore", "inherit", "ipc"] })
        : spawn(
            host.prefix[0] as string,
            [...host.prefix.slice(1), process.execPath, receivers, JSON.stringify(task)],
            {
              stdio: ["ignore", "ignore", "inherit", "ipc"],
            },
          )
    this.#processes.add(child)
    const group: Group = { process: child, from, to, parts: [], isKilled: false }
    this.#groups.push(group)
    child.on("message", (message: FromReceivers) => this.#hear(group, message))
    child.on("exit", () => {
      if (!group.isKilled) for (let client = from; client < to; client++) this.#fail(client, "its process has ended")
      this.#changed()
    })
  }

  #hear(group: Group, message: FromReceivers): void {
    if (message.is === "done") this.#done.set(message.client, this.#done.get(message.client) ?? message.at)
    else if (message.is === "failed") this.#fail(message.client, message.reason)
    else if (message.is === "parts") group.parts = message.parts
    this.#changed()
  }

  #fail(client: number, reason: string): void {
    if (!this.#done.has(client) && !this.#failed.has(client)) this.#failed.set(client, reason)
  }

  #start(started: number): void {
    for (const { process: child } of this.#groups) child.send({ do: "start" } satisfies ToReceivers)
    const sample = () => {
      const parts = this.#groups.flatMap((group) => (group.isKilled ? [] : group.parts))
      if (parts.length > 0) this.#samples.push({ at: machineSeconds() - started, parts })
    }
    const timer = setInterval(sample, sampleMs)
    this.#processes
      .values()
      .next()
      .value?.once("exit", () => clearInterval(timer))
    timer.unref()
  }

  /** Until every client is through, has failed, or was ended. */
  async #through(): Promise<void> {
    const { timeoutMs, clients, stopping, kill } = this.#options
    const until = Date.now() + timeoutMs
    let isKilled = kill === undefined
    for (;;) {
      const ended = this.#groups.reduce((sum, { isKilled: is, from, to }) => sum + (is ? to - from : 0), 0)
      const open = clients - ended - this.#done.size - this.#failed.size
      if (open <= 0) return
      if (stopping.aborted) throw new RdvError("cancelled", "The trial was stopped")
      if (Date.now() > until) {
        throw new RdvError("timeout", `${open} of ${clients} clients were not through after ${timeoutMs / 1000} s`)
      }
      if (!isKilled && this.#half()) {
        isKilled = true
        const ending = this.#groups.slice(0, Math.round(this.#groups.length * (kill ?? 0)))
        for (const group of ending) this.#kill(group)
        const { length } = this.#groups
        this.#options.say(`${ending.length} of ${counted(length, "process", "processes")} ended half way`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200)
        this.#changed = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #half(): boolean {
    const parts = this.#groups.flatMap((group) => group.parts)
    return parts.length > 0 && parts.reduce((sum, part) => sum + part, 0) / parts.length >= 0.5
  }

  #kill(group: Group): void {
    group.isKilled = true
    for (let client = group.from; client < group.to; client++) this.#done.delete(client)
    group.process.kill("SIGKILL")
  }

  async #all(what: "ready"): Promise<void> {
    await Promise.all(
      this.#groups.map(
        ({ process: child }) =>
          new Promise<void>((resolve, reject) => {
            child.on("message", (message: FromReceivers) => message.is === what && resolve())
            child.once("exit", () => reject(new RdvError("internal", "A process of receivers has ended at its start")))
          }),
      ),
    )
  }

  async #over(): Promise<TrialSummary["via"]> {
    const via = { relay: 0, direct: 0, cast: 0 }
    const living = this.#groups.filter(({ isKilled }) => !isKilled)
    for (const group of living) group.isKilled = true
    await Promise.all(
      living.map(
        ({ process: child }) =>
          new Promise<void>((resolve) => {
            if (!child.connected) return resolve()
            child.on("message", (message: FromReceivers) => {
              if (message.is !== "over") return
              via.relay += message.via.relay
              via.direct += message.via.direct
              via.cast += message.via.cast
              resolve()
            })
            child.once("exit", () => resolve())
            child.send({ do: "stop" } satisfies ToReceivers)
          }),
      ),
    )
    return via
  }

  async #check(hash: string, name: string): Promise<void> {
    const clients = [...this.#done.keys()].toSorted((a, b) => a - b)
    const step = Math.max(1, Math.floor(clients.length / Math.max(1, this.#options.checks)))
    for (let at = 0; at < clients.length && this.#options.checks > 0; at += step) {
      const client = clients[at] as number
      if ((await hashOf(join(this.#folder, String(client), name))) === hash) continue
      throw new RdvError("corrupt", `What client ${client} has stored is not what was shared`)
    }
  }

  #sentBytes(host: TrialHost | undefined): number {
    return host === undefined ? 0 : (this.#network?.sentBytes(host) ?? 0)
  }

  /** Memory at its highest; kept, because a process that has ended tells nothing. */
  #look(): void {
    for (const { pid } of this.#processes) {
      const figures = pid === undefined ? undefined : processFigures(pid)
      if (figures?.peakBytes !== undefined && pid !== undefined)
        this.#peaks.set(pid, { cpuSeconds: figures.cpuSeconds, peakBytes: figures.peakBytes })
    }
  }

  #costs(relay: number, sender: number): { relay: Cost; sender: Cost; receivers: Cost } {
    const of = (pid: number | undefined): Cost => this.#peaks.get(pid ?? 0) ?? { cpuSeconds: 0, peakBytes: 0 }
    const all = this.#groups.map(({ process: child }) => of(child.pid))
    return {
      relay: of(relay),
      sender: of(sender),
      receivers: {
        cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
        peakBytes: all.reduce((sum, { peakBytes }) => sum + peakBytes, 0),
      },
    }
  }

  #command(args: readonly string[], host: TrialHost | undefined, wanted: (event: JsonObject) => boolean) {
    const [command = "", ...before]: readonly string[] = [...(host?.prefix ?? []), process.execPath]
    const child = spawn(command, [...before, main, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, RDV_DATA: join(this.#folder, "data") },
    })
    this.#processes.add(child)
    let words = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (words = (words + text).slice(-2_000)))
    const line = new Promise<JsonObject>((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (text) => {
        const event: unknown = JSON.parse(text)
        if (isJsonObject(event) && wanted(event)) resolve(event)
      })
      child.once("error", reject)
      child.once("exit", () =>
        reject(new RdvError("internal", `rdv ${args[0]} has ended: ${words.trim().split("\n").at(-1)}`)),
      )
    })
    return { child, line }
  }
}

const patienceMs = 3_000
const lookMs = 100
const sampleMs = 100

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new RdvError("internal", "A process did not start")
  return pid
}

function minus(after: Cost, before: Cost): Cost {
  return { cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakBytes: after.peakBytes }
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0
}

/** The relay's branch, wherever the status tree has it. */
function findShare(value: unknown): JsonObject | undefined {
  if (Array.isArray(value)) return value.map(findShare).find((each) => each !== undefined)
  if (!isJsonObject(value)) return undefined
  const share = value["share"]
  if (isJsonObject(share) && "inBytes" in share) return share
  return Object.values(value)
    .map(findShare)
    .find((each) => each !== undefined)
}

function randomFile(path: string, bytes: number): string {
  const file = openSync(path, "w")
  const part = Buffer.allocUnsafe(Math.min(bytes, 1 << 20))
  for (let written = 0; written < bytes;) {
    randomFillSync(part)
    written += writeSync(file, part, 0, Math.min(part.length, bytes - written))
  }
  closeSync(file)
  return path
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256")
  for await (const part of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(part as Buffer)
  return hash.digest("hex")
}
