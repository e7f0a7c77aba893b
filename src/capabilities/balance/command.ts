/** `rdv balance`: the TCP proxy. */

import { availableParallelism } from "node:os"
import { systemClock } from "../../base/clock.ts"
import { counted } from "../../base/counted.ts"
import { RdvError } from "../../base/error.ts"
import type { Log } from "../../base/log.ts"
import type { Stream } from "../../base/stream.ts"
import { SeededRandom } from "../../base/random.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { commonFlags, dataFlag, logFlags, logLevelOf, logOf, relayFlags } from "../../cli/common-flags.ts"
import { printable } from "../../base/columns.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { onHangUp } from "../../cli/stop-signals.ts"
import { uplinkOptions } from "../../cli/uplink-options.ts"
import { readDocumentFile } from "../../config/document.ts"
import { fileStateNow } from "../../config/file-state.ts"
import { dialPrivate } from "../../host/private-call.ts"
import { startAgent, version } from "../../node.ts"
import type { RunningAgent } from "../../node.ts"
import { AdminServer } from "./admin/admin-server.ts"
import { descriptorsFor } from "./config/host-facts.ts"
import { readSettings } from "./config/read-settings.ts"
import { withResolutions } from "./config/resolve.ts"
import type { Settings } from "./config/settings.ts"
import { BalanceControl } from "./engine/balance-control.ts"
import { Balancer } from "./engine/balancer.ts"
import type { BalancerOptions } from "./engine/balancer.ts"
import type { Engine } from "./engine/engine.ts"
import { Endings } from "./observe/endings.ts"
import { Loops } from "./workers/loops.ts"
import { whyNoSharedPorts } from "./workers/port-support.ts"

export const balanceCommand: Command = {
  name: "balance",
  summary: "Balances TCP connections over targets, as a file says.",
  usage: "[FILE] [flags]",
  words: [0, 1],
  singleDash: true,
  flags: {
    config: {
      kind: "text",
      value: "FILE",
      env: "RDV_BALANCE_CONFIG",
      summary: "The file: YAML, or JSON as Apps/Ports/Targets",
      default: "config.json",
    },
    c: { kind: "text", value: "FILE", summary: "The same" },
    resolve: {
      kind: "list",
      value: "HOST=ADDR",
      summary: "Uses this address for the host instead of asking for its name; several with commas",
    },
    workers: {
      kind: "text",
      value: "N",
      summary: "Event loops that share the ports, whatever the file says; auto: one for each core",
    },
    ...relayFlags,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "The file is read again when it changes, on SIGHUP and by rdv balance reload; a bad one changes nothing. Running",
    "connections stay where they are. --relay reaches targets behind agents, rdv:NAME in the file.",
    "Ctrl+C listens no more and lets what runs finish, as long as drain in the file says.",
  ],
  examples: [
    ["rdv balance", "what config.json says"],
    ["rdv balance -config config.json --resolve echo.test=127.0.0.1", "with a host of its own"],
    ["rdv balance check balance.yaml", "what is wrong with a file, or what it means"],
    ["rdv top", "a live table of apps and targets"],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output } = call
  const file = call.words[0] ?? flags.text("c") ?? (flags.text("config") as string)
  const workers = workersOf(flags.text("workers"))
  const read = () => {
    const settings = withResolutions(readSettings(readDocumentFile(file)), flags.list("resolve"))
    return workers === undefined ? settings : { ...settings, workers }
  }
  // Before it is read, as in a reload; connecting to a relay may take seconds.
  const fileState = fileStateNow(file)
  const settings = read()
  const log = logOf(call, "info")
  const agent = await startUplink(call, settings, log)
  const ended = new Endings({ log, version, settings: () => balancer.settings })
  const balancer: Engine = await startEngine(call, {
    settings: withLimits(settings),
    clock: systemClock,
    random: new SeededRandom(Math.floor(Math.random() * 2 ** 48)),
    log,
    callAgents: agent && ((name: string): Stream => dialPrivate(agent.agent, name)),
    onEnded: (record) => ended.tell(record),
  })
  let control: BalanceControl | undefined
  let admin: AdminServer | undefined
  let quiet: (() => Promise<void>) | undefined
  try {
    const follow = async (next: Settings) => {
      await admin?.apply(next.admin)
      ended.follow(next)
    }
    control = new BalanceControl({
      balancer,
      clock: systemClock,
      log,
      file,
      read,
      settings,
      fileState,
      complete: withLimits,
      follow,
    })
    admin = new AdminServer({ control, log })
    await follow(settings)
    const handle = settings.admin.socket ? admin.handle : undefined
    quiet = await tellStatus(call.env, { command: `rdv balance ${file}`, balance: { control, handle } }, log)
    await tell(call, file, balancer)
    const unhang = onHangUp(() => control?.reloadAndTell("SIGHUP"))
    await untilStopped(call.stopping)
    unhang()
    if (balancer.connections > 0) {
      const seconds = Math.ceil(balancer.settings.drainMs / 1_000)
      const count = counted(balancer.connections, "connection")
      output.note(`rdv: ${count} may take up to ${seconds} s; Ctrl+C again quits at once`)
    }
    return exitCode.ok
  } finally {
    control?.stop()
    await balancer.stop(call.stopping.aborted ? balancer.settings.drainMs : 0)
    await admin?.stop()
    await ended.stop()
    await quiet?.()
    await agent?.stop()
  }
}

/** On as many event loops as the settings say, where the system can do that. */
async function startEngine(call: CommandCall, options: BalancerOptions): Promise<Engine> {
  const { workers: loops } = options.settings
  if (loops === 1) return new Balancer(options)
  const obstacle = await whyNoSharedPorts()
  if (obstacle === undefined) return new Loops({ ...options, loops, logLevel: logLevelOf(call, "info"), version })
  call.output.warn(`workers: ${loops} does not hold, everything runs on one event loop: ${obstacle}`)
  return new Balancer(options)
}

/** Throws `usage`. */
function workersOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (text === "auto") return availableParallelism()
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= mostWorkers) return Number(text)
  throw new RdvError("usage", `--workers ${JSON.stringify(text)} is no number of event loops`, {
    mend: `give 1 to ${mostWorkers}, or auto`,
  })
}

const mostWorkers = 256

/** A balancer without a limit would run out of descriptors, and then nothing works; each connection takes two. */
function withLimits(settings: Settings): Settings {
  return { ...settings, maxConnections: settings.maxConnections ?? descriptorsFor(settings) }
}

/** How long a start waits for the relay: without a session the first clients and checks would find nobody, ms. */
const uplinkMs = 3_000

/** The session through which `rdv:` targets are reached. A relay that is away is dialled again and again. */
async function startUplink(call: CommandCall, settings: Settings, log: Log): Promise<RunningAgent | undefined> {
  const uplink = uplinkOptions(call)
  if (uplink === undefined) {
    const wants = settings.apps.some(({ targets }) => targets.some((target) => target.address.kind === "rdv"))
    if (wants) call.output.warn("targets behind agents (rdv:) cannot be reached without a relay: add --relay ADDRESS")
    return undefined
  }
  const up = Promise.withResolvers<void>()
  const running = startAgent({
    ...uplink,
    log,
    onEvent: (event) => {
      // The session stands when this round of events is over.
      if (event.kind === "up") setImmediate(up.resolve)
      if (event.kind === "failed") {
        log.error("uplink.failed", { reason: event.error.message })
        up.resolve()
      }
    },
  })
  const timer = systemClock.after(uplinkMs, up.resolve)
  await Promise.race([up.promise, untilStopped(call.stopping)])
  timer.cancel()
  return running
}

async function tell({ output }: CommandCall, file: string, balancer: Engine): Promise<void> {
  const { settings } = balancer
  const ports = await balancer.listening()
  const snapshots = await balancer.snapshots()
  output.record({ event: "listening", file, ports: ports.map(({ address }) => address), pid: process.pid, version })
  output.line(`${output.paint("bold", `rendezvous balancer ${version}`)}, ${printable(file)}`)
  const width = Math.max(...settings.apps.map(({ name }) => name.length))
  for (const app of settings.apps) {
    const { listeners } = snapshots.find(({ name }) => name === app.name) ?? { listeners: [] }
    const from = listeners.map(({ address, state }) =>
      state === "listening" || state === "refusing" ? address : output.paint("red", `${address} (waits for the port)`),
    )
    const to = counted(app.targets.length, "target")
    output.line(`  ${printable(app.name.padEnd(width))}  ${from.join(" ")} → ${to}, ${app.policy.kind}`)
  }
  output.line("  look  rdv top")
}
