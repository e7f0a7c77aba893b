/** `rdv http` and `rdv tcp`: one tunnel, through a relay elsewhere or one in the same process. */

import { RdvError } from "../../base/error.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import {
  commonFlags,
  dataFlag,
  deadAfterFlag,
  drainFlag,
  foldersOf,
  leastDeadAfterMs,
  logFlags,
  logOf,
  relayFlags,
} from "../../cli/common-flags.ts"
import type { Flags } from "../../cli/flags.ts"
import { startLocalRelay } from "../../cli/local-relay.ts"
import type { LocalRelay } from "../../cli/local-relay.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { exchangeLine, frame } from "../../cli/tunnel-lines.ts"
import { UplinkLines } from "../../cli/uplink-lines.ts"
import { uplinkOptions } from "../../cli/uplink-options.ts"
import type { Exposed } from "../../host/host.ts"
import { checkPrivateName } from "../../host/private-call.ts"
import { isLoopback, startAgent, startTunnel } from "../../node.ts"
import type { TunnelEvents, TunnelSettings } from "../../node.ts"
import { checkName } from "../../relay/names.ts"
import { agentIdentity } from "../../store/agent-identity.ts"
import { parseAddress, printAddress } from "../../transport/address.ts"
import { tunnel } from "./capability.ts"
import { connectLocal } from "./connect.ts"
import { endpointText, readHttpTarget, readTcpTarget } from "./target.ts"

const sharedFlags: Flags = {
  ...relayFlags,
  listen: {
    kind: "list",
    value: "ADDRESS",
    summary: "Without --relay: where the relay in this process listens (127.0.0.1:8080 or the next free port)",
  },
  once: { kind: "switch", summary: "Ends with code 3 when the relay cannot be reached at first" },
  ...deadAfterFlag,
  quiet: { kind: "switch", summary: "Says nothing about single exchanges" },
  ...drainFlag,
  ...dataFlag,
  ...logFlags,
  ...commonFlags,
}

export const httpCommand: Command = {
  name: "http",
  summary: "Puts a local web service or a folder on a public URL.",
  usage: "TARGET [flags]",
  words: [1, 1],
  flags: {
    name: {
      kind: "text",
      value: "NAME",
      env: "RDV_NAME",
      summary: "The public name; without it a readable one is picked, and stays",
    },
    "host-header": {
      kind: "text",
      value: "VALUE",
      summary: "Replaces the Host that the service sees; `rewrite` makes it the target's",
    },
    insecure: { kind: "switch", summary: "Takes any certificate from an https:// target" },
    ...sharedFlags,
  },
  notes: ["TARGET is a port (3000), host:port, http:// or https:// URL, unix:/path, or a folder (./public)."],
  examples: [
    ["rdv http 3000", "localhost:3000 on http://NAME.localhost:8080, with nothing else to set up"],
    ["rdv http ./public --name docs", "serves a folder under a name of your choice"],
    ["rdv http 3000 --relay tls://example.test:443 --token-file ~/.rdv.token", "through a relay elsewhere"],
  ],
  run: (call) => {
    const { flags } = call
    const name = flags.text("name")
    return run(call, {
      kind: "http",
      target: call.words[0],
      name: name === undefined ? undefined : checkName(name),
      hostHeader: flags.text("host-header"),
      ...(flags.on("insecure") && { insecure: true }),
    })
  },
}

export const tcpCommand: Command = {
  name: "tcp",
  summary: "Puts a local TCP service on a public port.",
  usage: "TARGET [flags]",
  words: [1, 1],
  flags: {
    port: { kind: "text", value: "PORT", summary: "The public port; without it the relay chooses one, and it stays" },
    private: {
      kind: "text",
      value: "NAME",
      summary:
        "No public port: a target rdv:NAME for rdv balance with the same token; other agents may offer it as well",
    },
    ...sharedFlags,
  },
  notes: ["TARGET is a port (22), host:port or unix:/path."],
  examples: [
    ["rdv tcp 5432", "a database on a free port of this machine"],
    ["rdv tcp 22 --port 2222 --relay tls://example.test:443 --token-file ~/.rdv.token", "ssh to a machine behind NAT"],
    [
      "rdv tcp 3000 --private web --relay tls://example.test:443 --token-file ~/.rdv.token",
      "one of those behind rdv:web",
    ],
  ],
  run: (call) => {
    const { flags } = call
    const name = flags.text("private")
    if (name !== undefined) checkPrivate(call, name)
    return run(call, { kind: "tcp", target: call.words[0], port: flags.whole("port", 1, 65_535), private: name })
  },
}

function checkPrivate({ flags }: CommandCall, name: string): void {
  checkPrivateName(name)
  if (flags.has("port")) {
    throw new RdvError("usage", "--port is public, and --private is not", { mend: "leave one out" })
  }
  if (flags.text("relay") !== undefined) return
  throw new RdvError("usage", "--private needs a relay where others come for it", { mend: "add --relay ADDRESS" })
}

async function run(call: CommandCall, raw: { readonly [key: string]: unknown }): Promise<number> {
  const { flags, output } = call
  const settings = tunnel.settings(
    Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined)),
    "rdv",
  )
  const drainMs = flags.durationMs("drain") as number
  const limits = { deadAfterMs: flags.durationMs("dead-after", leastDeadAfterMs) as number }
  const at = foldersOf(call)
  const log = logOf(call, "error")
  checkCombination(call)
  const uplink = uplinkOptions(call)
  const instance = uplink?.instance ?? agentIdentity(at.state)

  const local =
    uplink === undefined
      ? await startLocalRelay({
          folders: at,
          listen: flags.list("listen"),
          http: settings.kind === "http",
          log,
          sessionLimits: limits,
        })
      : undefined
  const relay = uplink?.relay ?? (local as LocalRelay).address
  const lines = new UplinkLines(output, relay)
  const over = Promise.withResolvers<never>()
  let leaving = false
  const fail = (error: Error) => {
    leaving = true
    over.reject(error)
  }
  // Nobody waits for it before the tunnel stands.
  over.promise.catch(() => undefined)
  let agent
  let quiet
  try {
    agent = startAgent({
      ...uplink,
      relay,
      instance,
      log,
      limits,
      ...(local !== undefined && { connect: local.connect }),
      onEvent: (event) => {
        // When we leave, the end of the session is no news.
        if (leaving || call.stopping.aborted) return
        if (event.kind === "retry" && flags.on("once") && !lines.wasUp) fail(event.error)
        else if (local === undefined) lines.hear(event)
        if (event.kind === "failed") fail(event.error)
      },
    })
    await startTunnel(agent.agent, settings, events(call, settings, uplink?.relay, fail))
    const command = `rdv ${settings.kind} ${settings.target}`
    quiet = await tellStatus(call.env, { command, relay: local?.running, agent }, log)
    warnOfDeadTarget(call, settings)
    await Promise.race([untilStopped(call.stopping), over.promise])
    output.record({ event: "draining" })
    if (output.interactive)
      output.note(`rdv: finishing what runs, up to ${flags.text("drain")}; Ctrl+C again quits at once`)
    return exitCode.ok
  } finally {
    await agent?.stop(call.stopping.aborted ? drainMs : 0)
    await local?.running.stop(0)
    await quiet?.()
  }
}

function checkCombination({ flags, output }: CommandCall): void {
  if (flags.text("relay") !== undefined) {
    if (!flags.has("listen")) return
    throw new RdvError("usage", "--listen is for the relay in this process, and --relay names another one", {
      mend: "leave one out",
    })
  }
  const lost = ["token", "token-file", "ca", "pin", "proxy"].find((name) => flags.onCommandLine(name))
  if (lost !== undefined) {
    throw new RdvError("usage", `--${lost} needs a relay to use it with`, { mend: "add --relay ADDRESS" })
  }
  for (const text of flags.list("listen")) {
    const address = parseAddress(text, "tcp")
    if ("host" in address && !isLoopback(address.host)) {
      output.warn(`everybody who reaches ${printAddress(address)} can visit the tunnel, and open others there`)
    }
  }
}

function events(
  { flags, output, env }: CommandCall,
  settings: TunnelSettings,
  relay: string | undefined,
  fail: (error: Error) => void,
): TunnelEvents {
  const target = targetText(settings)
  let shownUrl = ""
  const onExposed = ({ url, name }: Exposed) => {
    if (url === shownUrl) return
    const again = shownUrl !== ""
    shownUrl = url
    output.record({
      event: "exposed",
      kind: settings.kind,
      url,
      name,
      target,
      pid: process.pid,
      ...(relay !== undefined && { relay }),
    })
    if (again) output.note(`rdv: the public address is now ${url}`)
    else for (const line of frame(output, { url, target, relay, env })) output.line(line)
  }
  const tellsExchanges = !flags.on("quiet") && (output.json || output.interactive)
  return {
    onExposed,
    onDelayed: (error) => {
      if (flags.on("once") && shownUrl === "") fail(error)
      else output.warn(`${error.message}; the relay is asked again`)
    },
    onRefused: fail,
    ...(tellsExchanges && {
      onExchange: (method, path, status, ms) => {
        output.record({ event: "exchange", method, path, status, ms: Math.round(ms * 10) / 10 })
        if (output.interactive) output.line(exchangeLine(output, method, path, status, ms))
      },
    }),
  }
}

function targetText({ kind, target }: TunnelSettings): string {
  return kind === "http" ? readHttpTarget(target).text : endpointText(readTcpTarget(target))
}

/** Not fatal: many start the tunnel first. */
function warnOfDeadTarget({ output }: CommandCall, settings: TunnelSettings): void {
  const target = settings.kind === "http" ? readHttpTarget(settings.target) : undefined
  if (target?.kind === "folder") return
  const endpoint = target === undefined ? readTcpTarget(settings.target) : target.endpoint
  connectLocal(
    endpoint,
    { insecure: settings.insecure ?? false },
    ({ socket }) => {
      socket.on("error", () => undefined)
      socket.destroy()
    },
    (error) =>
      output.warn(
        `${error.message} yet: visitors ${settings.kind === "http" ? "get an error page" : "are turned away"} until it does`,
      ),
  )
}
