/** `rdv load serve`: lends this machine to load tests that others of the same owner start. */

import { RdvError } from "../../base/error.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import {
  commonFlags,
  dataFlag,
  deadAfterFlag,
  drainFlag,
  leastDeadAfterMs,
  logFlags,
  logOf,
  relayFlags,
} from "../../cli/common-flags.ts"
import { printable } from "../../cli/output.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { UplinkLines } from "../../cli/uplink-lines.ts"
import { uplinkOptions } from "../../cli/uplink-options.ts"
import { startAgent, version } from "../../node.ts"
import { readAllowed } from "./remote/allowance.ts"
import type { Allowance } from "./remote/allowance.ts"
import { checkGeneratorName } from "./remote/messages.ts"
import { serveGenerator } from "./remote/serve.ts"
import type { ServeEvents } from "./remote/serve.ts"
import type { Scenario } from "./scenario/scenario.ts"

export const serveCommand: Command = {
  name: "load serve",
  summary: "Lends this machine to load tests that are started elsewhere.",
  usage: "--name NAME --relay ADDRESS [flags]",
  words: [0, 0],
  flags: {
    name: { kind: "text", value: "NAME", summary: "What rdv load --agents calls it" },
    allow: {
      kind: "list",
      value: "HOST[:PORT]",
      summary:
        "Loads these and nothing else: a host, host:port, *:port, * for any, or unix:/path (default: this machine's loopback)",
    },
    "max-rate": {
      kind: "text",
      value: "N",
      summary: "Refuses plans that want more messages per second of it (default: any)",
    },
    "max-connections": {
      kind: "text",
      value: "N",
      summary: "Refuses plans that want more connections of it",
      default: "1000",
    },
    "max-duration": {
      kind: "text",
      value: "TIME",
      summary: "Refuses longer plans, and ends those that have no end",
      default: "1h",
    },
    ...relayFlags,
    once: { kind: "switch", summary: "Ends with code 3 when the relay cannot be reached at first" },
    ...deadAfterFlag,
    ...drainFlag,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "Plans come only from sessions with the same token, or without tokens from the same installation. It runs one plan at",
    "a time and says who ran what.",
  ],
  examples: [
    [
      "rdv load serve --name lab1 --relay tls://example.test:443 --token-file ~/.rdv.token",
      "loads its own loopback only",
    ],
    ["rdv load serve --name lab1 --relay example.test --allow shop.test:443 --max-rate 5000", "loads one service"],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output } = call
  const name = flags.text("name")
  if (name === undefined) throw new RdvError("usage", "The generator has no name", { mend: "add --name lab1" })
  checkGeneratorName(name)
  const uplink = uplinkOptions(call)
  if (uplink === undefined) {
    throw new RdvError("usage", "Plans come through a relay, and none is named", { mend: "add --relay ADDRESS" })
  }
  const { relay } = uplink
  const allowance = allowanceOf(call)
  const drainMs = flags.durationMs("drain") as number
  const log = logOf(call, "error")
  const lines = new UplinkLines(output, relay)
  const over = Promise.withResolvers<never>()
  // Nobody waits for it before the session stands.
  over.promise.catch(() => undefined)
  let leaving = false
  const fail = (error: Error) => {
    leaving = true
    over.reject(error)
  }
  const running = startAgent({
    ...uplink,
    log,
    limits: { deadAfterMs: flags.durationMs("dead-after", leastDeadAfterMs) as number },
    onEvent: (event) => {
      if (leaving || call.stopping.aborted) return
      if (event.kind === "retry" && flags.on("once") && !lines.wasUp) fail(event.error)
      else lines.hear(event)
      if (event.kind === "failed") fail(event.error)
    },
  })
  let quiet
  try {
    const served = serveGenerator(running.agent, { name, allowance, version, events: events(call, name, relay, fail) })
    quiet = await tellStatus(call.env, { command: `rdv load serve ${name}`, agent: running }, log)
    await Promise.race([untilStopped(call.stopping), over.promise])
    served.stop()
    return exitCode.ok
  } finally {
    await running.stop(call.stopping.aborted ? drainMs : 0)
    await quiet?.()
  }
}

function allowanceOf({ flags }: CommandCall): Allowance {
  const allowed = flags.list("allow").map((text) => {
    try {
      return readAllowed(text)
    } catch (error) {
      if (!(error instanceof RdvError)) throw error
      throw new RdvError("usage", `--allow ${error.message}`, error.mend === undefined ? {} : { mend: error.mend })
    }
  })
  const maxDurationMs = flags.durationMs("max-duration", 1_000) as number
  // A timer cannot wait longer than 2^31 ms.
  if (maxDurationMs > 20 * 86_400_000)
    throw new RdvError("usage", "--max-duration is too long", { mend: "give at most 20d" })
  return {
    targets: allowed.length === 0 ? [{ kind: "loopback" }] : allowed,
    maxRate: flags.whole("max-rate", 1, 1_000_000_000),
    maxConnections: flags.whole("max-connections", 1, 1_000_000) as number,
    maxDurationMs,
  }
}

function events(
  { flags, output }: CommandCall,
  name: string,
  relay: string,
  fail: (error: Error) => void,
): ServeEvents {
  const allowed = flags.list("allow").join(", ") || "this machine's loopback"
  let waits = false
  const say = (text: string) => output.line(`${new Date().toISOString().slice(11, 19)}  ${printable(text)}`)
  return {
    onExposed: ({ url }) => {
      output.record({ event: "exposed", kind: "private", url, name, pid: process.pid, relay })
      if (!waits)
        output.line(`${output.paint("bold", name)} waits for plans at ${relay}; it loads ${printable(allowed)}`)
      waits = true
    },
    onDelayed: (error) => output.warn(`${error.message}; the relay is asked again`),
    onRefused: fail,
    onStart: (from, scenario) => {
      output.record({ event: "run", from, plan: scenario.name, targets: scenario.targets.map(({ label }) => label) })
      say(`${from} runs ${planText(scenario)}`)
    },
    onEnd: (from, reason) => {
      output.record({ event: "run.over", from, reason })
      say(`${from} is over: ${reason}`)
    },
  }
}

const shownTargets = 3

function planText({ name, targets, model }: Scenario): string {
  const labels = targets.slice(0, shownTargets).map(({ label }) => label)
  const more = targets.length > shownTargets ? ` and ${targets.length - shownTargets} more` : ""
  const title = labels.includes(name) ? "" : `"${name}", `
  return `${title}${model.kind} model, at ${labels.join(", ")}${more}`.slice(0, 500)
}
