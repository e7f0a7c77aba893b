/**
 * Hosts of one machine: network namespaces on a bridge, each with an uplink and a downlink of its own, delay and loss.
 * Needs Linux, root and iproute2. Whatever was made is removed again; names carry the process id.
 */

import { execFileSync } from "node:child_process"
import { RdvError } from "../../../base/error.ts"

export interface HostNetwork {
  /** bytes/s; undefined: what the machine gives. */
  readonly up?: number | undefined
  readonly down?: number | undefined
  /** One way, ms. */
  readonly delayMs?: number | undefined
  /** A part of all packets: 0.01 is one of a hundred. */
  readonly loss?: number | undefined
}

export interface TrialHost {
  readonly address: string
  /** What stands before a command that shall run there. */
  readonly prefix: readonly string[]
}

export class TrialNetwork {
  readonly #id: string = process.pid.toString(36)
  readonly #bridge: string
  readonly #names: string[] = []

  /** Throws `usage` where it cannot be. */
  constructor() {
    this.#bridge = `rdvb${this.#id}`
    try {
      run("ip", "link", "add", this.#bridge, "type", "bridge")
      run("ip", "link", "set", this.#bridge, "up")
    } catch (error) {
      this.remove()
      throw new RdvError(
        "usage",
        `Network namespaces cannot be made here: ${(error as Error).message.split("\n")[1] ?? ""}`,
        {
          mend: "run it as root on Linux with iproute2, or without --namespaces",
          cause: error,
        },
      )
    }
  }

  add(host: HostNetwork): TrialHost {
    const number = this.#names.length + 1
    const name = `rdv${this.#id}-${number}`
    const outside = `rv${this.#id}x${number}`
    const inside = "eth0"
    const address = `10.214.${number >> 8}.${number & 255}`
    run("ip", "netns", "add", name)
    this.#names.push(name)
    run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
    run("ip", "link", "set", outside, "master", this.#bridge, "up")
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", name, "address", "add", `${address}/16`, "dev", inside)
    run("ip", "-n", name, "link", "set", inside, "up")
    run("ip", "-n", name, "route", "add", "224.0.0.0/4", "dev", inside)
    shape(["netns", "exec", name, "tc"], inside, host.up, host)
    shape(undefined, outside, host.down, {})
    return { address, prefix: ["ip", "netns", "exec", name] }
  }

  /** Bytes that a host has sent so far. */
  sentBytes(host: TrialHost): number {
    const [command = "ip", ...args] = host.prefix
    const text = execFileSync(command, [...args, "cat", "/sys/class/net/eth0/statistics/tx_bytes"], {
      encoding: "utf8",
    })
    return Number(text)
  }

  remove(): void {
    for (const name of this.#names.splice(0)) attempt("ip", "netns", "delete", name)
    attempt("ip", "link", "delete", this.#bridge)
  }
}

/** A queue of about 50 ms before the limit: enough to keep it busy, too short to hide behind. */
function shape(
  inNamespace: string[] | undefined,
  device: string,
  rate: number | undefined,
  { delayMs, loss }: HostNetwork,
): void {
  const tc = (...args: string[]) =>
    inNamespace === undefined ? run("tc", ...args) : run("ip", ...inNamespace, ...args)
  const isFar = (delayMs ?? 0) > 0 || (loss ?? 0) > 0
  if (isFar) {
    const far = ["delay", `${delayMs ?? 0}ms`, "loss", `${(loss ?? 0) * 100}%`, "limit", "100000"]
    try {
      tc("qdisc", "add", "dev", device, "root", "handle", "1:", "netem", ...far)
    } catch (cause) {
      if (!String(cause).includes("qdisc kind is unknown")) throw cause
      throw new RdvError("usage", "This kernel can neither delay nor lose packets: it has no netem (sch_netem)", {
        mend: "leave --delay and --loss out",
        cause,
      })
    }
  }
  if (rate === undefined) return
  const place = isFar ? ["parent", "1:1", "handle", "10:"] : ["root", "handle", "10:"]
  const burst = String(Math.max(65_536, Math.round(rate / 250)))
  tc(
    "qdisc",
    "add",
    "dev",
    device,
    ...place,
    "tbf",
    "rate",
    `${Math.round(rate * 8)}bit`,
    "burst",
    burst,
    "latency",
    "50ms",
  )
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] })
}

function attempt(command: string, ...args: string[]): void {
  try {
    run(command, ...args)
  } catch {
    // Not there, or gone with its namespace.
  }
}
