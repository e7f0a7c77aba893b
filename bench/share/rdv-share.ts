/** The product's own trial: a relay, a sender and receivers, all real programs, several receivers in one process. */

import { readFileSync } from "node:fs"
import type { Child, Children } from "../children.ts"
import { processFamily } from "../machine.ts"
import { privateBytes } from "./gauge.ts"
import { compileProduct } from "./product.ts"
import type { Outcome, ShareSystem, Task } from "./system.ts"

export const rdv: ShareSystem = {
  name: "rdv",
  note: "`rdv share`, a relay and `rdv get`, encrypted end to end; receivers share processes",
  isSwarm: true,
  missing: () => undefined,
  run: (children, task) => run(task, (args) => start(children, args)),
}

export const rdvCast: ShareSystem = {
  ...rdv,
  name: "rdv multicast",
  isCast: true,
  run: (children, task) => run(task, (args) => start(children, [...args, "--multicast", "on", "--direct", "off"])),
}

const products = new WeakMap<Children, string>()

function start(children: Children, args: readonly string[]): Child {
  let commandLine = products.get(children)
  if (commandLine === undefined) products.set(children, (commandLine = compileProduct(children)))
  return children.node("rdv share swarm", [commandLine, ...args])
}

interface Summary {
  readonly seconds: number
  readonly startSeconds: number
  readonly relay: Record<"cpuSeconds" | "peakBytes" | "inCopies" | "outCopies" | "cpuSecondsPerGb", number | undefined>
  readonly sender: { readonly cpuSeconds: number }
  readonly receivers: { readonly cpuSeconds: number }
  readonly senderLinkCopies?: number
  readonly failed: readonly { readonly client: string; readonly reason: string }[]
}

async function run(task: Task, start: (args: readonly string[]) => Child): Promise<Outcome> {
  const { clients, file, uplink, by } = task
  const args = ["share", "swarm", "--clients", String(clients), "--file", file, "--json", "--timeout", "180s"]
  if (uplink !== undefined) args.push("--uplink", `${uplink}B/s`, "--carrier", "direct")
  if (by === "namespaces") args.push("--namespaces", "--per-process", "1")
  else args.push("--per-process", String(Math.ceil(clients / receiverProcesses)))
  const child = start([...args, ...(process.env["RDV_BENCH_SHARE"]?.split(" ") ?? [])])
  const peaks = { server: 0, client: 0 }
  const timer = setInterval(() => look(child.pid, peaks), 200)
  try {
    const [, text = "{}"] = await child.until(/(\{.*"event":"swarm".*\})\n/, 240_000)
    const summary = JSON.parse(text) as Summary
    const [failed] = summary.failed
    if (failed !== undefined) throw new Error(`${failed.client}: ${failed.reason}`)
    await child.done(30_000)
    const { relay, sender, receivers, seconds } = summary
    return {
      taken: {
        seconds,
        "seconds with start": seconds + summary.startSeconds,
        "server cpu": (relay.cpuSeconds ?? NaN) + sender.cpuSeconds,
        "client cpu": receivers.cpuSeconds,
        "server memory": peaks.server,
        "client memory": peaks.client,
        "relay memory": relay.peakBytes ?? NaN,
        "relay in": relay.inCopies ?? NaN,
        "relay out": relay.outCopies ?? NaN,
        "relay cpu per GB": relay.cpuSecondsPerGb ?? NaN,
        ...(summary.senderLinkCopies !== undefined && { "sender link": summary.senderLinkCopies }),
      },
      // It compares some of them itself.
      outputs: [],
    }
  } finally {
    clearInterval(timer)
    await child.stop()
  }
}

function look(pid: number, peaks: { server: number; client: number }): void {
  let server = 0
  let client = 0
  for (const each of processFamily(pid)) {
    if (each === pid) continue
    if (isReceiver(each)) client += privateBytes(each)
    else server += privateBytes(each)
  }
  peaks.server = Math.max(peaks.server, server)
  peaks.client = Math.max(peaks.client, client)
}

function isReceiver(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("swarm-receivers")
  } catch {
    return false
  }
}

/** As many as this machine has cores would be fair to a real crowd; few also measure the processes' own cost less. */
const receiverProcesses = 2
