/** `rdv share swarm`: a whole swarm on this machine, to see what sharing costs here and that it holds. */

import { writeFileSync } from "node:fs"
import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import type { FlagReader } from "../../cli/flags.ts"
import { byteCount, byteRate } from "../../cli/share-flags.ts"
import { runTrial } from "../../cli/swarm-trial.ts"
import { readPercent } from "../../config/quantity.ts"
import { trialGraph } from "./trial/trial-graph.ts"
import { trialLines } from "./trial/trial-lines.ts"
import type { HostNetwork } from "./trial/trial-network.ts"

export const swarmCommand: Command = {
  name: "share swarm",
  summary: "Tries sharing on this machine: a relay, a sender and many receivers, with what they cost.",
  usage: "[flags]",
  words: [0, 0],
  flags: {
    clients: { kind: "text", value: "N", summary: "Receivers", default: "10" },
    size: { kind: "text", value: "SIZE", summary: "Of the file that is shared: random bytes", default: "100MB" },
    file: { kind: "text", value: "FILE", summary: "Shares this file in its place" },
    "per-process": {
      kind: "text",
      value: "N",
      summary: "Receivers in one process; 1 is one each, as on machines of their own",
      default: "25",
    },
    uplink: { kind: "text", value: "RATE", summary: "What sender and receivers may send, each: 20MB/s" },
    "relay-rate": { kind: "text", value: "RATE", summary: "What the relay may send" },
    "relay-cache": { kind: "text", value: "SIZE", summary: "Memory of the relay for chunks" },
    carrier: { kind: "text", value: "relay|direct", summary: "Who carries where both can" },
    direct: { kind: "text", value: "on|off", summary: "Connections between receivers", default: "on" },
    multicast: { kind: "text", value: "auto|on|off", summary: "Once to all", default: "off" },
    namespaces: { kind: "switch", summary: "Gives each process a host of its own on a bridge; Linux, as root" },
    downlink: { kind: "text", value: "RATE", summary: "With --namespaces: what a host may receive" },
    delay: { kind: "text", value: "TIME", summary: "With --namespaces: how long a packet takes, one way" },
    loss: { kind: "text", value: "PERCENT", summary: "With --namespaces: packets that are lost: 1%" },
    kill: { kind: "text", value: "PERCENT", summary: "Ends this part of the receivers' processes half way: 30%" },
    check: { kind: "text", value: "N", summary: "Compares so many of the files again at the end", default: "5" },
    timeout: { kind: "text", value: "TIME", summary: "Gives up after this", default: "5m" },
    graph: { kind: "text", value: "FILE", summary: "Draws it, as SVG" },
    ...commonFlags,
  },
  examples: [
    ["rdv share swarm --clients 100 --size 100MB", "a hundred receivers on loopback"],
    ["rdv share swarm --uplink 20MB/s --carrier direct --graph swarm.svg", "receivers help each other"],
    [
      "rdv share swarm --namespaces --per-process 1 --multicast on --direct off",
      "a network of its own, one copy for all",
    ],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output } = call
  const clients = flags.whole("clients", 1, 1_000) as number
  const graph = flags.text("graph")
  const trial = await runTrial({
    clients,
    perProcess: flags.whole("per-process", 1, 1_000) as number,
    bytes: byteCount(flags, "size") as number,
    file: flags.text("file"),
    uplink: flags.on("namespaces") ? undefined : byteRate(flags, "uplink"),
    relayRate: byteRate(flags, "relay-rate"),
    cacheBytes: flags.text("relay-cache"),
    carrier: flags.choice("carrier", ["relay", "direct"]),
    direct: flags.choice("direct", ["on", "off"]) === "on",
    multicast: flags.choice("multicast", ["auto", "on", "off"]) ?? "off",
    network: networkOf(flags),
    kill: partOf(flags, "kill"),
    timeoutMs: flags.durationMs("timeout") as number,
    checks: flags.whole("check", 0, 1_000) as number,
    stopping: call.stopping,
    say: (line) => output.note(`rdv: ${line}`),
  })
  const { summary } = trial
  output.record({ event: "swarm", ...(summary as unknown as JsonObject) })
  for (const line of trialLines(summary)) output.line(line)
  if (graph !== undefined) {
    const title = `${summary.bytes / 1e6} MB to ${clients} receivers`
    writeFileSync(graph, trialGraph({ title, samples: trial.samples, done: trial.done, bound: summary.bound }))
    output.note(`rdv: drawn to ${graph}`)
  }
  return summary.failed.length > 0 ? exitCode.failure : exitCode.ok
}

/** Undefined without `--namespaces`. Throws `usage`. */
function networkOf(flags: FlagReader): HostNetwork | undefined {
  if (!flags.on("namespaces")) {
    const lost = ["downlink", "delay", "loss"].find((name) => flags.text(name) !== undefined)
    if (lost === undefined) return undefined
    throw new RdvError("usage", `--${lost} needs --namespaces`, { mend: "add it, or leave this out" })
  }
  return {
    up: byteRate(flags, "uplink"),
    down: byteRate(flags, "downlink"),
    delayMs: flags.durationMs("delay"),
    loss: partOf(flags, "loss"),
  }
}

function partOf(flags: FlagReader, name: string): number | undefined {
  const text = flags.text(name)
  return text === undefined ? undefined : readPercent(text)
}
