/** `rdv share`: files, a folder or standard input for everybody who has the code. */

import { asRdvError, RdvError } from "../../base/error.ts"
import { commonFlags, dataFlag, foldersOf, logFlags, logOf } from "../../cli/common-flags.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import type { Flags } from "../../cli/flags.ts"
import { startLocalRelay } from "../../cli/local-relay.ts"
import type { LocalRelay } from "../../cli/local-relay.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { shareExitCode } from "../../cli/share-code.ts"
import { ShareDesk } from "../../cli/share-desk.ts"
import {
  byteCount,
  checkPaths,
  connectFlags,
  connectWishes,
  hookFlags,
  hooksOf,
  memberFlags,
  memberWishes,
  passwordFlags,
  passwordOf,
  seedUntil,
} from "../../cli/share-flags.ts"
import { UplinkLines } from "../../cli/uplink-lines.ts"
import { isLoopback } from "../../node.ts"
import { share } from "../../share.ts"
import type { Share, ShareOptions } from "../../share.ts"
import { agentIdentity } from "../../store/agent-identity.ts"
import { printAddress, printHostPort } from "../../transport/address.ts"
import { newCode, parseCode, printCode } from "./code/code.ts"
import type { SeedUntil } from "./terminal/swarm-story.ts"

const shareFlags: Flags = {
  name: { kind: "text", value: "NAME", summary: "What receivers call it; standard input needs one" },
  once: { kind: "switch", summary: "Ends when one receiver has everything, and who else has begun" },
  expires: { kind: "text", value: "TIME", summary: "The code is good for so long: 10m, 24h, 7d" },
  "max-peers": { kind: "text", value: "N", summary: "No more receivers than this" },
  code: {
    kind: "text",
    value: "CODE",
    env: "RDV_SHARE_CODE",
    summary: "Goes on with this code, after this command was interrupted",
  },
  ...passwordFlags,
  "no-relay-cache": { kind: "switch", summary: "The relay passes sealed parts on and keeps none" },
  ...memberFlags,
  watch: { kind: "switch", summary: "Shares new versions when files change; receivers fetch what is new" },
  "skip-unreadable": { kind: "switch", summary: "Leaves out what may not be read, instead of sharing nothing" },
  "seed-until": {
    kind: "text",
    value: "WHEN",
    summary: "Leaves by itself: complete (each part is elsewhere), copies=3 (so often) or forever",
    default: "forever",
  },
  "wait-for": { kind: "text", value: "N", summary: "With --seed-until: not before so many receivers have everything" },
  chunk: {
    kind: "text",
    value: "SIZE",
    summary: "Size of the parts, 16KiB to 1MiB; without it by the size of the whole",
  },
  hash: { kind: "text", value: "NAME", summary: "blake3 or sha256; without it the faster one here" },
  listen: {
    kind: "list",
    value: "ADDRESS",
    summary: "Without --relay: where the relay in this process listens (127.0.0.1:8080 or the next free port)",
  },
  "no-qr": { kind: "switch", summary: "Shows no QR code" },
  ...hookFlags,
  ...connectFlags,
  ...dataFlag,
  ...logFlags,
  ...commonFlags,
}

export const shareCommand: Command = {
  name: "share",
  summary: "Shares a file, a folder or standard input with everybody who has the code.",
  usage: "PATH… [flags]",
  words: [1, 1_000],
  flags: shareFlags,
  notes: [
    "The code has two halves: digits that name the share at the relay, and words that are its key. What leaves this machine",
    "is encrypted with the words; the relay and everybody without them learn sizes, and nothing else.",
    "Hooks: a URL gets a POST of JSON, anything else is a command that finds RDV_SHARE_EVENT, RDV_SHARE_CLIENT and more.",
    "Exit codes: 0 done or stopped, 2 usage, 3 no relay, 5 the relay refuses or has ended the share.",
  ],
  examples: [
    ["rdv share big.iso --relay relay.example.com", "prints the code: others run rdv get CODE, or open the link"],
    ["rdv share ./photos --expires 24h --password", "a folder, for a day, and the code alone is not enough"],
    ["rdv share big.iso --seed-until complete --wait-for 30", "leaves when 30 have it"],
    ["tar c src | rdv share - --name src.tar --once", "standard input, for one receiver"],
    ["rdv share big.iso --listen 0.0.0.0:8080", "a relay in this process, for machines of the same network"],
  ],
  run,
}

interface Plan {
  readonly options: Pick<ShareOptions, ShareWish>
  readonly seedUntil: SeedUntil
  readonly waitFor: number
}

type ShareWish = Exclude<keyof ShareOptions, "relay" | "onEvent" | "onLink" | "log" | "password" | "code" | "goesOn">

function planOf(call: CommandCall): Plan {
  const { flags, words } = call
  const name = flags.text("name")
  const fromInput = words.includes("-")
  if (fromInput && words.length > 1) {
    throw new RdvError("usage", "Standard input is shared alone", { mend: "leave the other paths out" })
  }
  if (fromInput && name === undefined) {
    throw new RdvError("usage", "What comes on standard input has no name", { mend: "add --name NAME" })
  }
  if (fromInput && flags.on("watch")) {
    throw new RdvError("usage", "--watch needs files: standard input has one version", { mend: "leave it out" })
  }
  if (name !== undefined && (/[/\\\0]/.test(name) || name === "." || name === "..")) {
    throw new RdvError("usage", `--name ${JSON.stringify(name)} is no name of a file`, { mend: "leave folders out" })
  }
  if (flags.on("once") && flags.has("max-peers")) {
    throw new RdvError("usage", "--once and --max-peers exclude each other: --once ends with its first receiver", {
      mend: "leave one out",
    })
  }
  checkPaths(words)
  const chunkBytes = byteCount(flags, "chunk")
  if (chunkBytes !== undefined && (chunkBytes < 16_384 || chunkBytes > 2 ** 20)) {
    throw new RdvError("usage", "--chunk is outside of 16KiB to 1MiB", { mend: "leave it out, or give 256KiB" })
  }
  const expiresMs = flags.durationMs("expires", 1_000)
  const maxPeers = flags.whole("max-peers", 1, 1_000_000)
  const hash = flags.choice("hash", ["blake3", "sha256"])
  return {
    seedUntil: seedUntil(flags.text("seed-until") as string),
    waitFor: flags.whole("wait-for", 1, 1_000_000) ?? 0,
    options: {
      ...(fromInput ? { input: process.stdin } : { paths: words }),
      ...(name !== undefined && { name }),
      ...(flags.on("once") && { once: true }),
      ...(expiresMs !== undefined && { expiresMs }),
      ...(maxPeers !== undefined && { maxPeers }),
      ...(flags.on("no-relay-cache") && { cache: false }),
      ...(flags.on("watch") && { watch: true }),
      ...(flags.on("skip-unreadable") && { skipUnreadable: true }),
      ...(chunkBytes !== undefined && { chunkBytes }),
      ...(hash !== undefined && { hash }),
      ...memberWishes(call),
    },
  }
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output, stopping } = call
  const plan = planOf(call)
  const log = logOf(call, "error")
  const password = await passwordOf(call, { twice: true })
  const local = flags.text("relay") === undefined ? await ownRelay(call) : undefined
  const leaving = new AbortController()
  const given = flags.text("code")
  const code = given === undefined ? newCode() : parseCode(given)
  const desk = new ShareDesk({
    output,
    code: printCode(code),
    swarm: code.swarm,
    password: password !== undefined,
    qr: !flags.on("no-qr"),
    hint: local === undefined ? undefined : hintOf(local),
    relay: local === undefined ? flags.text("relay") : unixRelay(local),
    hooks: hooksOf(call),
    seedUntil: plan.seedUntil,
    waitFor: plan.waitFor,
    onEnough: () => leaving.abort(),
  })
  let running: Share | undefined
  let quiet: (() => Promise<void>) | undefined
  try {
    const relay = local === undefined ? connectWishes(call, flags.text("relay") as string) : localWishes(call, local)
    const lines = new UplinkLines(output, relay.relay)
    desk.start()
    running = await share({
      ...plan.options,
      ...relay,
      code,
      ...(given !== undefined && { goesOn: true }),
      ...(local !== undefined && { othersReachRelay: !isForThisMachine(local) }),
      log,
      ...(password !== undefined && { password }),
      onEvent: (event) => desk.hear(event),
      onLink: (event) => {
        if (local === undefined && !stopping.aborted && !leaving.signal.aborted) lines.hear(event)
      },
    })
    quiet = await tellStatus(call.env, { command: "rdv share", relay: local?.running, agent: running.agent }, log)
    const over = await Promise.race([
      untilStopped(stopping).then(() => "stopped" as const),
      untilStopped(leaving.signal).then(() => "complete" as const),
      running.ended.then(() => "ended" as const),
    ])
    output.record({ event: "share.leaving", why: over })
    if (over === "ended") desk.over("the share is over, nobody new can receive it")
    if (over === "stopped" && output.interactive) desk.note("rdv: saying goodbye; Ctrl+C again quits at once")
    return exitCode.ok
  } catch (thrown) {
    desk.failed(asRdvError(thrown))
    await desk.end()
    return shareExitCode(thrown, output)
  } finally {
    await running?.stop()
    await desk.end()
    await local?.running.stop(0)
    await quiet?.()
  }
}

/** A relay for this share, on loopback unless `--listen` says more. */
async function ownRelay(call: CommandCall): Promise<LocalRelay> {
  const { flags } = call
  const lost = ["token", "token-file", "ca", "pin", "proxy"].find((name) => flags.onCommandLine(name))
  if (lost !== undefined) {
    throw new RdvError("usage", `--${lost} needs a relay to use it with`, { mend: "add --relay ADDRESS" })
  }
  return startLocalRelay({
    folders: foldersOf(call),
    listen: flags.list("listen"),
    http: true,
    shares: true,
    log: logOf(call, "error"),
  })
}

function localWishes(call: CommandCall, { running }: LocalRelay): ReturnType<typeof connectWishes> {
  const [address] = running.addresses
  if (address === undefined) throw new RdvError("internal", "The relay in this process listens nowhere")
  // An interface of all interfaces is reached by loopback.
  const host = "host" in address && (address.host === "0.0.0.0" || address.host === "") ? "127.0.0.1" : undefined
  const ipv6 = "host" in address && address.host === "::" ? "::1" : undefined
  const near = "host" in address ? { ...address, host: host ?? ipv6 ?? address.host } : address
  return {
    relay: printAddress(near),
    token: undefined,
    tokenInClear: false,
    dial: {},
    instance: agentIdentity(foldersOf(call).state),
    firstMs: 10_000,
  }
}

/** A relay that no link leads to. */
function unixRelay({ running }: LocalRelay): string | undefined {
  const [address] = running.addresses
  return address?.scheme === "unix" ? printAddress(address) : undefined
}

function isForThisMachine({ running }: LocalRelay): boolean {
  const [address] = running.addresses
  return address === undefined || !("host" in address) || isLoopback(address.host)
}

/** Below the link: who can use it. */
function hintOf(local: LocalRelay): string {
  const [address] = local.running.addresses
  if (address !== undefined && "port" in address && !isForThisMachine(local)) {
    return `The relay is in this process: others need to reach port ${address.port} of this machine.`
  }
  const port = address !== undefined && "port" in address ? address.port : 8080
  return `For this machine only: add --listen ${printHostPort("0.0.0.0", port)} for its network, or --relay for others.`
}
