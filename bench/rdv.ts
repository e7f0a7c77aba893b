/** The product under measurement: a relay and an agent, one process each, by the command line where it exists. */

import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeCertificate } from "../test/kit/certificates.ts"
import type { Child, Children } from "./children.ts"
import type { LinkKind } from "./options.ts"
import type { Place } from "./origin.ts"
import type { System } from "./system.ts"

export interface RdvOptions {
  readonly link: LinkKind
  readonly source: boolean
  /** Flags of Node for each process: profiles, garbage collection on demand. */
  readonly nodeFlags?: (role: "relay" | "agent") => readonly string[]
}

export interface RunningRelay {
  readonly child: Child
  /** For visitors. */
  readonly place: Place
  /** For agents. */
  readonly address: string
  /** A file with the authority that agents trust. */
  readonly ca: string | undefined
}

const commandLine = join(import.meta.dirname, "..", "src", "cli", "main.ts")

/** `kind` is the service: HTTP exchanges or plain TCP. */
export function rdv(kind: "http" | "tcp", options: RdvOptions): System {
  return {
    name: `rdv ${kind}`,
    side: "own",
    carries: kind === "http" ? "http" : "bytes",
    note: `relay and agent, one process each, ${options.link} link${usesCommandLine(options) ? "" : ", from source"}`,
    async start(children, target) {
      const relay = await startRelayProcess(children, options)
      const { child, place, hostHeader } = await startAgentProcess(children, relay, kind, target, options)
      return {
        ...place,
        hostHeader,
        processes: [
          { role: "relay", pid: relay.child.pid },
          { role: "agent", pid: child.pid },
        ],
        async stop() {
          await child.stop()
          await relay.child.stop()
        },
      }
    },
  }
}

export async function startRelayProcess(children: Children, options: RdvOptions): Promise<RunningRelay> {
  const folder = children.folder()
  const listen = ["tcp://127.0.0.1:0"]
  const secrets: string[] = []
  if (options.link === "unix") listen.push(`unix:${join(folder, "relay.sock")}`)
  if (options.link === "tls") {
    const { ca, cert, key } = makeCertificate()
    for (const [name, text] of Object.entries({ ca, cert, key }))
      writeFileSync(join(folder, name), text, { mode: 0o600 })
    listen.push("tls://127.0.0.1:0")
    secrets.push("--tls-cert", join(folder, "cert"), "--tls-key", join(folder, "key"))
  }
  const own = usesCommandLine(options)
    ? [commandLine, "relay", "--open", "--json"]
    : [join(import.meta.dirname, "programs", "relay.ts")]
  const flags = options.nodeFlags?.("relay") ?? []
  const child = children.node(
    "relay",
    [...flags, ...own, ...listen.flatMap((each) => ["--listen", each]), ...secrets],
    { env: homeIn(folder) },
  )
  const port = Number((await child.until(/(?:tcp|http):\/\/[^\s":]*:(\d+)/))[1])
  const place = { host: "127.0.0.1", port }
  const address =
    options.link === "unix"
      ? `unix:${join(folder, "relay.sock")}`
      : options.link === "tls"
        ? `tls://127.0.0.1:${(await child.until(/(?:tls|https):\/\/[^\s":]*:(\d+)/))[1]}`
        : `127.0.0.1:${port}`
  return { child, place, address, ca: options.link === "tls" ? join(folder, "ca") : undefined }
}

export async function startAgentProcess(
  children: Children,
  relay: RunningRelay,
  kind: "http" | "tcp",
  target: Place,
  options: RdvOptions,
): Promise<{ readonly child: Child; readonly place: Place; readonly hostHeader: string }> {
  const program = usesCommandLine(options) ? commandLine : join(import.meta.dirname, "programs", "agent.ts")
  // A line for each exchange costs the agent a fifth of its time, and us the reading.
  const output = usesCommandLine(options) ? ["--json", "--quiet"] : []
  const name = kind === "http" ? ["--name", "bench"] : []
  const trust = relay.ca === undefined ? [] : ["--ca", relay.ca]
  const flags = options.nodeFlags?.("agent") ?? []
  const child = children.node(
    "agent",
    [...flags, program, kind, `${target.host}:${target.port}`, "--relay", relay.address, ...name, ...trust, ...output],
    { env: homeIn(children.folder()) },
  )
  if (kind === "http") {
    await child.until(/http:\/\/bench\.localhost:\d+/)
    return { child, place: relay.place, hostHeader: `bench.localhost:${relay.place.port}` }
  }
  const match = await child.until(/tcp:\/\/localhost:(\d+)/)
  return { child, place: { host: "127.0.0.1", port: Number(match[1]) }, hostHeader: "localhost" }
}

function usesCommandLine(options: RdvOptions): boolean {
  return !options.source && existsSync(commandLine)
}

/** Nothing of the user's configuration and data plays in. */
function homeIn(folder: string): NodeJS.ProcessEnv {
  const xdg = { XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, XDG_STATE_HOME: folder, XDG_RUNTIME_DIR: folder }
  return { ...process.env, HOME: folder, ...xdg }
}
