/** `rdv chan serve`: a channel server, until it is told to stop. */

import { RdvError } from "../../base/error.ts"
import { idMapFlags, idMapsOf, placesOf, startChannelServer } from "../../cli/channel-server.ts"
import type { ChannelServer } from "../../cli/channel-server.ts"
import {
  commonFlags,
  dataFlag,
  deadAfterFlag,
  foldersOf,
  leastDeadAfterMs,
  logFlags,
  logOf,
  readText,
  relayStorePath,
} from "../../cli/common-flags.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { openUnions, unionFlags } from "../../cli/unions.ts"
import type { Unions } from "../../cli/unions.ts"
import { startRelay, version } from "../../node.ts"
import type { SharedDoorTls } from "../../relay/shared-door.ts"
import { isLoopback } from "../../transport/loopback.ts"
import { parseAddress } from "../../transport/address.ts"
import type { Address } from "../../transport/address.ts"
import { readBytes } from "../../config/quantity.ts"
import { readSetting } from "./files/channel-ctl.ts"
import type { ChannelSettings } from "./core/settings.ts"

export const chanServeCommand: Command = {
  name: "chan serve",
  summary: "Serves channels: as files over 9P, and to rdv chan.",
  usage: "[flags]",
  words: [0, 0],
  singleDash: true,
  flags: {
    listen: {
      kind: "list",
      value: "ADDRESS",
      env: "RDV_CHAN_LISTEN",
      summary: "Where mounts, 9P clients and sessions come in: host:port, :port, tls://host:port, unix:/path",
      default: "127.0.0.1:5640",
    },
    addr: { kind: "list", value: "ADDRESS", summary: "The same" },
    channel: { kind: "list", value: "PATH[=SIZE]", summary: "Makes this channel at the start, with its folders" },
    set: { kind: "list", value: "KEY=VALUE", summary: "For new channels: size=16, deliver=done, max-message=64KB" },
    memory: { kind: "text", value: "SIZE", summary: "For messages of all channels together", default: "256MB" },
    channels: { kind: "text", value: "N", summary: "No more channels than this", default: "10000" },
    open: { kind: "switch", summary: "Lets everybody in without a token; else only this machine is" },
    strict: { kind: "switch", summary: "Wants a token also from this machine" },
    "tls-cert": { kind: "text", value: "FILE", env: "RDV_TLS_CERT", summary: "Certificate chain, PEM" },
    "tls-key": { kind: "text", value: "FILE", env: "RDV_TLS_KEY", summary: "Its private key, PEM" },
    "client-ca": {
      kind: "text",
      value: "FILE",
      summary: "A 9P client that shows a certificate of this authority needs no token",
    },
    ...idMapFlags,
    ...unionFlags,
    grace: {
      kind: "text",
      value: "TIME",
      env: "RDV_GRACE",
      summary: "A native client that is away for longer has left: what it held goes to another one",
      default: "60s",
    },
    ...deadAfterFlag,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "Tokens are those of the relay of this data folder: rdv token new NAME --channels /jobs:rw. A mount puts its token",
    "into the attach name: -o aname=TOKEN, or TOKEN/PATH for a part of the tree.",
  ],
  examples: [
    ["rdv chan serve", "on this machine, port 5640"],
    ["mount -t 9p -o trans=tcp,port=5640,version=9p2000.L 127.0.0.1 /n/rdv", "then: echo hello > /n/rdv/jobs"],
    ["rdv chan serve -addr :6666 --channel /jobs=16", "for every machine with a token, and with a first channel"],
    ["rdv chan serve --union /team-b=relay-b:5640", "with another server's channels below /team-b"],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags } = call
  const wanted = flags.has("addr") && !flags.onCommandLine("listen") ? flags.list("addr") : flags.list("listen")
  const tls = tlsOf(call)
  const listen = wanted.map((text) => parseAddress(text, tls === undefined ? "tcp" : "tls"))
  const defaults = settingsOf(flags.values("set"))
  const first = flags.values("channel").map(readFirst)
  const open = flags.on("open")
  const strict = flags.on("strict")
  if (open && strict) throw new RdvError("usage", "--open and --strict exclude each other", { mend: "leave one out" })
  const graceMs = flags.durationMs("grace") as number
  const deadAfterMs = flags.durationMs("dead-after", leastDeadAfterMs) as number
  const log = logOf(call, "info")
  const running = await startRelay({
    listen: [],
    sessionLimits: { graceMs, deadAfterMs },
    store: relayStorePath(foldersOf(call)),
    open: open || (strict ? false : "local"),
    log,
  })
  let server: ChannelServer | undefined
  let unions: Unions | undefined
  let quiet: (() => Promise<void>) | undefined
  try {
    unions = openUnions(call, log)
    server = await startChannelServer({
      running,
      listen,
      tls,
      open,
      strict,
      log,
      ...(unions && { around: unions.around }),
      defaults,
      limits: {
        channels: flags.whole("channels", 1, 10_000_000) as number,
        messageBytes: readBytes(flags.text("memory") as string),
      },
      ...idMapsOf(flags),
    })
    if (unions) running.relay.report("unions", () => (unions as Unions).status())
    for (const { path, size } of first) makeFirst(server, path, size)
    quiet = await tellStatus(call.env, { command: "rdv chan serve", relay: running }, log)
    tell(call, server, open)
    await untilStopped(call.stopping)
    return exitCode.ok
  } finally {
    await server?.close()
    await running.stop()
    await unions?.stop()
    await quiet?.()
  }
}

/** `size=16`, `deliver=done`. Throws `usage`. */
function settingsOf(texts: readonly string[]): Partial<ChannelSettings> {
  const changes = texts
    .flatMap((text) => text.split(","))
    .map((text) => {
      const at = text.indexOf("=")
      if (at > 0) return readSetting(text.slice(0, at).trim(), text.slice(at + 1).trim())
      throw new RdvError("usage", `--set ${JSON.stringify(text)} sets nothing`, { mend: "write KEY=VALUE, as size=16" })
    })
  return Object.assign({}, ...changes) as Partial<ChannelSettings>
}

function readFirst(text: string): { path: string; size: number | undefined } {
  const match = /^(\/[^=]*)(?:=(\d{1,8}))?$/.exec(text)
  if (match === null) {
    throw new RdvError("usage", `--channel ${JSON.stringify(text)} is no path`, { mend: "write /jobs or /jobs=16" })
  }
  return { path: match[1] as string, size: match[2] === undefined ? undefined : Number(match[2]) }
}

/** With the folders above it. */
function makeFirst({ channels: { space } }: ChannelServer, path: string, size: number | undefined): void {
  const names = path.split("/").slice(1, -1)
  names.forEach((_, index) => {
    const folder = `/${names.slice(0, index + 1).join("/")}`
    if (space.lookup(folder) === undefined) space.makeFolder(folder)
  })
  space.create(path, {}, size === undefined ? {} : { size })
}

function tlsOf({ flags }: CommandCall): SharedDoorTls | undefined {
  const cert = flags.text("tls-cert")
  const key = flags.text("tls-key")
  if ((cert === undefined) !== (key === undefined)) {
    throw new RdvError("usage", "--tls-cert and --tls-key belong together", { mend: "give both files" })
  }
  const clientCa = flags.text("client-ca")
  if (cert === undefined || key === undefined) {
    if (clientCa === undefined) return undefined
    throw new RdvError("usage", "--client-ca needs TLS", { mend: "give --tls-cert and --tls-key" })
  }
  return {
    cert: readText(cert, "--tls-cert"),
    key: readText(key, "--tls-key"),
    ...(clientCa !== undefined && { clientCa: readText(clientCa, "--client-ca") }),
  }
}

function tell({ output }: CommandCall, { addresses, channels }: ChannelServer, open: boolean): void {
  const places = placesOf(addresses)
  const count = [...channels.space.channels()].length
  output.record({ event: "listening", addresses: places, channels: count, open, pid: process.pid, version })
  output.line(`${output.paint("bold", `rendezvous channels ${version}`)}`)
  for (const place of places) output.line(`  listens  ${output.paint("green", place)}`)
  const mount = addresses.map(mountCommand).find((each) => each !== undefined)
  if (mount !== undefined) output.line(`  mount    ${mount}`)
  output.line(`  look     rdv chan ls${serverFlag(addresses[0])}`)
  const exposed = addresses.filter((address) => "host" in address && !isLoopback(address.host))
  if (open && exposed.length > 0) {
    output.warn(`everybody who reaches ${placesOf(exposed).join(", ")} can send and receive here (--open)`)
  }
}

/** Linux takes numbers only. */
function mountCommand(address: Address): string | undefined {
  if (address.scheme === "unix") return `mount -t 9p -o trans=unix,version=9p2000.L ${address.path} /n/rdv`
  if (address.scheme !== "tcp") return undefined
  const host = /^\d+(\.\d+){3}$/.test(address.host) && address.host !== "0.0.0.0" ? address.host : "ADDRESS"
  return `mount -t 9p -o trans=tcp,port=${address.port},version=9p2000.L ${host} /n/rdv`
}

function serverFlag(address: Address | undefined): string {
  if (address === undefined) return ""
  if (address.scheme === "tcp" && address.port === 5640 && isLoopback(address.host)) return ""
  return ` --server ${placesOf([address])[0]}`
}
