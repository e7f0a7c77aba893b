/** `rdv relay`: runs a relay until it is told to stop. */

import { RdvError } from "../base/error.ts"
import { isLoopback, startRelay, version } from "../node.ts"
import type { RunningRelay } from "../node.ts"
import { parseAddress, printAddress } from "../transport/address.ts"
import type { Address } from "../transport/address.ts"
import {
  commonFlags,
  dataFlag,
  deadAfterFlag,
  drainFlag,
  foldersOf,
  leastDeadAfterMs,
  logFlags,
  logOf,
  relayStorePath,
} from "./common-flags.ts"
import { idMapFlags, idMapsOf, placesOf, startChannelServer } from "./channel-server.ts"
import type { ChannelServer } from "./channel-server.ts"
import type { Log } from "../base/log.ts"
import { exitCode, untilStopped } from "./command.ts"
import type { Command, CommandCall } from "./command.ts"
import { tellStatus } from "./process-status.ts"
import { readShareFlags, relayShareFlags, startRelayShares } from "./relay-share.ts"
import { readTabFlags, relayTabFlags, startRelayTabs } from "./relay-tab.ts"
import { isEverywhere, keepRenewed, readRelayTls } from "./relay-tls.ts"
import type { RelayTls } from "./relay-tls.ts"

export const relayCommand: Command = {
  name: "relay",
  summary: "Runs a relay that agents dial and visitors reach.",
  usage: "[flags]",
  words: [0, 0],
  flags: {
    domain: {
      kind: "text",
      value: "DOMAIN",
      env: "RDV_DOMAIN",
      summary: "Public names are names below it",
      default: "localhost",
    },
    listen: {
      kind: "list",
      value: "ADDRESS",
      env: "RDV_LISTEN",
      summary: "Where agents and visitors come in: host:port, :port, tls://host:port, unix:/path",
      default: "127.0.0.1:8080",
    },
    "public-url": {
      kind: "text",
      value: "URL",
      env: "RDV_PUBLIC_URL",
      summary: "How visitors reach it, when a proxy stands in front: https://example.test",
    },
    "trust-proxy": {
      kind: "list",
      value: "ADDRESS[/PREFIX]",
      env: "RDV_TRUST_PROXY",
      summary: "A proxy in front whose word about its visitors counts; also: loopback, private",
    },
    open: {
      kind: "switch",
      env: "RDV_OPEN",
      summary: "Lets agents in without a token; on loopback unless --listen names another address",
    },
    channels: {
      kind: "list",
      value: "ADDRESS",
      env: "RDV_CHANNELS_LISTEN",
      summary: "Serves channels there, to 9P clients and sessions: tcp://:5640, tls://:5641, unix:/path",
    },
    ...idMapFlags,
    ...relayShareFlags,
    ...relayTabFlags,
    "tls-cert": { kind: "text", value: "FILE", env: "RDV_TLS_CERT", summary: "Certificate chain, PEM" },
    "tls-key": { kind: "text", value: "FILE", env: "RDV_TLS_KEY", summary: "Its private key, PEM" },
    tls: {
      kind: "text",
      value: "dev",
      env: "RDV_TLS",
      summary: "dev: makes an authority of its own and a certificate for the domain",
    },
    grace: {
      kind: "text",
      value: "TIME",
      env: "RDV_GRACE",
      summary: "How long a session may be without a link",
      default: "60s",
    },
    ...deadAfterFlag,
    ...drainFlag,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  examples: [
    ["rdv relay", "on this machine, port 8080, for agents with a token (rdv token new)"],
    ["rdv relay --open", "the same, for every agent on this machine"],
    [
      "rdv relay --domain example.test --listen :443 --tls-cert chain.pem --tls-key key.pem",
      "a public relay; *.example.test must lead to it",
    ],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output } = call
  const at = foldersOf(call)
  const domain = readDomain(flags.text("domain") as string)
  const open = flags.on("open")
  const tls = readRelayTls(call, at, domain)
  const listen = flags.list("listen").map((text) => parseAddress(text, tls === undefined ? "tcp" : "tls"))
  const graceMs = flags.durationMs("grace") as number
  const deadAfterMs = flags.durationMs("dead-after", leastDeadAfterMs) as number
  const drainMs = flags.durationMs("drain") as number
  const publicUrl = readPublicUrl(flags.text("public-url"))
  const share = readShareFlags(flags)
  const tabs = readTabFlags(flags)
  const log = logOf(call, "info")
  const relay = await startRelay({
    listen: listen.map(printAddress),
    domain,
    trustProxy: flags.list("trust-proxy"),
    store: relayStorePath(at),
    open,
    log,
    sessionLimits: { graceMs, deadAfterMs },
    ...(publicUrl !== undefined && { publicUrl }),
    ...(tls !== undefined && { tls }),
  })
  const shares = startRelayShares(relay, { domain, publicUrl, at, log }, share)
  const tab = await startRelayTabs(relay, { domain, publicUrl, open, at, log }, tabs)
  const channels = await startRelayChannels(call, relay, tls, open, log)
  const unwatch = tls === undefined ? undefined : keepRenewed(relay, tls, log)
  const quiet = await tellStatus(call.env, { command: "rdv relay", relay }, log)
  tell(call, relay, domain, open, tls, { channels, shares, stun: tab?.stun })
  await untilStopped(call.stopping)
  output.note(`rdv: finishing what runs, up to ${flags.text("drain")}; Ctrl+C again quits at once`)
  await channels?.close()
  await relay.stop(drainMs)
  unwatch?.()
  await quiet()
  return exitCode.ok
}

/** Where channels are served; undefined without them. Rejects when it cannot be: the relay is stopped then. */
async function startRelayChannels(
  { flags }: CommandCall,
  running: RunningRelay,
  tls: RelayTls | undefined,
  open: boolean,
  log: Log,
): Promise<ChannelServer | undefined> {
  const listen = flags.list("channels").map((text) => parseAddress(text, "tcp"))
  if (listen.length === 0) return undefined
  try {
    return await startChannelServer({ running, listen, tls, open, strict: false, log, ...idMapsOf(flags) })
  } catch (error) {
    await running.stop()
    throw error
  }
}

/** What it serves beside routes. */
interface Beside {
  readonly channels: ChannelServer | undefined
  readonly shares: string | undefined
  readonly stun: string | undefined
}

function tell(
  call: CommandCall,
  relay: RunningRelay,
  domain: string,
  open: boolean,
  tls: RelayTls | undefined,
  { channels, shares, stun }: Beside,
): void {
  const { output, flags } = call
  const caFile = tls?.caFile
  const addresses = relay.addresses.map(printAddress)
  const now = Date.now()
  const tokens = relay.store
    .listTokens()
    .filter(({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt === null || expiresAt > now)).length
  output.record({
    event: "listening",
    addresses,
    domain,
    open,
    tokens,
    ...(channels !== undefined && { channels: placesOf(channels.addresses) }),
    ...(shares !== undefined && { share: shares }),
    ...(stun !== undefined && { stun }),
    pid: process.pid,
    version,
    ...(caFile !== undefined && { ca: caFile, pin: `sha256:${tls?.sha256}` }),
  })
  output.line(`${output.paint("bold", `rendezvous relay ${version}`)}, names below ${domain}`)
  for (const address of addresses) output.line(`  listens  ${output.paint("green", address)}`)
  for (const place of placesOf(channels?.addresses ?? [])) output.line(`  channels ${output.paint("green", place)}`)
  if (shares !== undefined) output.line(`  share    ${output.paint("green", shares)}`)
  if (stun !== undefined) output.line(`  peers    ${output.paint("green", stun)}`)
  if (caFile !== undefined) {
    output.line(`  trust    --ca ${caFile}`)
    output.line(`           or --pin sha256:${tls?.sha256}`)
  }
  const [first] = relay.addresses
  if (first !== undefined) {
    const trust = caFile === undefined ? "" : ` --ca ${caFile}`
    const token = open ? "" : " --token-file FILE"
    output.line(`  agents   rdv http 3000 --relay ${dialable(first, domain)}${token}${trust}`)
  }
  output.line(`  look     rdv status`)
  if (open) {
    const exposed = relay.addresses.filter((address) => "host" in address && !isLoopback(address.host))
    if (exposed.length > 0) {
      output.warn(`everybody who reaches ${exposed.map(printAddress).join(", ")} can expose services here (--open)`)
    }
  } else if (tokens === 0) {
    const data = flags.onCommandLine("data") ? ` --data ${flags.text("data")}` : ""
    output.note(`rdv: no agent can come in yet; make a token: rdv token new NAME${data}`)
  }
}

/** What an agent writes behind `--relay`. */
function dialable(address: Address, domain: string): string {
  if (address.scheme !== "tcp" && address.scheme !== "tls") return printAddress(address)
  const named = address.scheme === "tls" && !isLoopback(address.host)
  const host = isEverywhere(address.host) || named ? domain : address.host
  const text = printAddress({ ...address, host })
  return address.scheme === "tcp" ? text.slice("tcp://".length) : text
}

/** Lower case. It also names a folder. */
function readDomain(text: string): string {
  const domain = text.toLowerCase()
  const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
  if (domain.length <= 190 && domain.split(".").every((each) => label.test(each))) return domain
  throw new RdvError("usage", `--domain ${JSON.stringify(text)} is not a domain`, {
    mend: "write it without scheme and port: tunnels.example.test",
  })
}

function readPublicUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "") return text
  throw new RdvError("usage", `--public-url ${JSON.stringify(text)} is not a URL`, {
    mend: "write https://example.test, or with a port; no path",
  })
}
