/** `rdv chan proxy`: a 9P server on this machine that is another one somewhere else, and that outlives the network. */

import { systemClock } from "../../base/clock.ts"
import { RdvError } from "../../base/error.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import {
  commonFlags,
  dataFlag,
  deadAfterFlag,
  dialOf,
  foldersOf,
  leastDeadAfterMs,
  logFlags,
  logOf,
  relayFlags,
  tokenOf,
} from "../../cli/common-flags.ts"
import { linkBytes } from "../../cli/link-bytes.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { treeUpstream } from "../../cli/tree-upstream.ts"
import type { TreeUpstream } from "../../cli/tree-upstream.ts"
import type { Link } from "../../mux/link.ts"
import { version } from "../../node.ts"
import { agentIdentity } from "../../store/agent-identity.ts"
import { parseAddress, printAddress } from "../../transport/address.ts"
import type { Address } from "../../transport/address.ts"
import { isLoopback } from "../../transport/loopback.ts"
import { listenTcp } from "../../transport/tcp.ts"
import type { Listener } from "../../transport/transport.ts"
import { listenUnix } from "../../transport/unix.ts"
import { Proxy } from "./proxy/proxy.ts"

const { relay: _, ...trustFlags } = relayFlags

export const chanProxyCommand: Command = {
  name: "chan proxy",
  summary: "A 9P server here that is one elsewhere, and outlives the network between.",
  usage: "--laddr ADDRESS --raddr ADDRESS [flags]",
  words: [0, 0],
  singleDash: true,
  flags: {
    laddr: {
      kind: "list",
      value: "ADDRESS",
      summary: "Where clients of this machine connect: unix:/path, host:port; several with commas",
    },
    raddr: {
      kind: "text",
      value: "ADDRESS",
      summary: "The server: host:port, rdv://, https:// or wss:// for one of ours, tcp:// for any 9P server",
    },
    "give-up": {
      kind: "text",
      value: "TIME",
      summary: "Ends clients when the server stays away for so long; default: never",
    },
    open: { kind: "switch", summary: "Listens for other machines too: they use the server with the token given here" },
    ...deadAfterFlag,
    ...trustFlags,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "A mount of the local address stays valid while the server is away: calls wait, and go on afterwards. Over a session,",
    "each takes effect once; with any other server, or when the relay was killed, a write without an answer is sent again.",
    "With a bare host:port, unix: or tls:// the server is asked which of the two it is.",
  ],
  examples: [
    ["rdv chan proxy -laddr unix:///run/rdv.sock -raddr relay.example.com:5640", "then mount -t 9p -o trans=unix,… "],
    ["rdv chan proxy --laddr 127.0.0.1:5641 --raddr tcp://files:564", "before any 9P server"],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags } = call
  const listen = flags.list("laddr").map(readLocal)
  if (listen.length === 0) throw missing("--laddr", "unix:/run/rdv.sock or 127.0.0.1:5641")
  const raddr = flags.text("raddr")
  if (raddr === undefined) throw missing("--raddr", "the server's host:port")
  refuseStrangers(listen, flags.on("open"))
  const deadAfterMs = flags.durationMs("dead-after", leastDeadAfterMs) as number
  const giveUpMs = flags.durationMs("give-up") ?? 0
  const log = logOf(call, "info")
  const upstream = treeUpstream({
    address: raddr,
    token: tokenOf(call),
    instance: agentIdentity(foldersOf(call).state),
    log,
    limits: { deadAfterMs },
    dial: dialOf(call),
    tokenInClear: flags.on("token-in-clear"),
    onAgent: ({ agent }) => agent.report("proxy", () => proxy.status()),
  })
  const proxy = new Proxy({ upstream, clock: systemClock, log, limits: { silenceMs: deadAfterMs, giveUpMs } })
  let doors: Listener[] = []
  let quiet: (() => Promise<void>) | undefined
  try {
    doors = await openDoors(listen, (link) => proxy.take(linkBytes(link), link.peer))
    const command = `rdv chan proxy --raddr ${upstream.name}`
    const told = {
      command,
      get agent() {
        return upstream.agent
      },
    }
    quiet = await tellStatus(call.env, told, log)
    tell(call, doors, upstream)
    await untilStopped(call.stopping)
    return exitCode.ok
  } finally {
    await Promise.all(doors.map((door) => door.close()))
    proxy.close()
    await upstream.stop()
    await quiet?.()
  }
}

function readLocal(text: string): Address {
  const address = parseAddress(text, "tcp")
  if (address.scheme === "tcp" || address.scheme === "unix") return address
  throw new RdvError("usage", `The proxy cannot listen at ${text}`, { mend: "use unix:/path or host:port" })
}

function missing(flag: string, example: string): RdvError {
  return new RdvError("usage", `${flag} is missing`, { mend: `give ${example}` })
}

/** Whoever reaches the local port acts with our token, and 9P has no other proof. */
function refuseStrangers(listen: readonly Address[], isOpen: boolean): void {
  const stranger = listen.find((address) => address.scheme === "tcp" && !isLoopback(address.host))
  if (isOpen || stranger === undefined) return
  throw new RdvError("usage", `Every machine that reaches ${printAddress(stranger)} could use the server through it`, {
    mend: "listen on 127.0.0.1 or a unix socket, or say --open",
  })
}

/** All of them, or none. */
async function openDoors(listen: readonly Address[], onLink: (link: Link) => void): Promise<Listener[]> {
  const doors: Listener[] = []
  try {
    for (const address of listen) {
      if (address.scheme === "unix") doors.push(await listenUnix({ path: address.path }, onLink))
      else if (address.scheme === "tcp") doors.push(await listenTcp(address, onLink))
    }
    return doors
  } catch (error) {
    await Promise.all(doors.map((door) => door.close()))
    throw error
  }
}

function tell({ output }: CommandCall, doors: readonly Listener[], upstream: TreeUpstream): void {
  const places = doors.map(({ address }) => printAddress(address))
  output.record({ event: "listening", addresses: places, upstream: upstream.name, pid: process.pid, version })
  output.line(output.paint("bold", `rendezvous channel proxy ${version}`))
  for (const place of places) output.line(`  listens  ${output.paint("green", place)} → ${upstream.name}`)
  for (const { address } of doors) output.line(`  mount    ${mountCommand(address)}`)
}

function mountCommand(address: Address): string {
  if (address.scheme === "unix") return `mount -t 9p -o trans=unix,version=9p2000.L ${address.path} /n/rdv`
  const [host, port] = "port" in address ? [address.host, address.port] : ["", 0]
  return `mount -t 9p -o trans=tcp,port=${port},version=9p2000.L ${host} /n/rdv`
}
