/**
 * A relay or an agent as a process of its own, from source: `node run-process.ts '{"role":…}'`. It prints one JSON object
 * per line (`ready`, then events), answers `{"ask":…}` lines from standard input, and drains on SIGTERM.
 */

import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { createLog, startAgent, startRelay, startTunnel } from "../../src/node.ts"
import type { SessionLimits } from "../../src/mux/limits.ts"
import type { RelayLimits } from "../../src/relay/limits.ts"
import type { TunnelSettings } from "../../src/capabilities/tunnel/capability.ts"

export interface RelayProcessSettings {
  readonly role: "relay"
  readonly listen: readonly string[]
  readonly store: string
  readonly open?: boolean
  readonly limits?: Partial<RelayLimits>
  readonly sessionLimits?: Partial<SessionLimits>
  readonly drainMs?: number
}

export interface AgentProcessSettings {
  readonly role: "agent"
  readonly relay: string
  readonly token?: string
  readonly instance?: string
  readonly limits?: Partial<SessionLimits>
  readonly tunnels: readonly TunnelSettings[]
  readonly drainMs?: number
}

export type ProcessSettings = RelayProcessSettings | AgentProcessSettings

/** `at` counts from the start of the process, ms. */
const say = (line: object) => void process.stdout.write(`${JSON.stringify({ ...line, at: performance.now() })}\n`)

const log = createLog({
  level: process.env["RDV_TEST_LOG"] === undefined ? "silent" : "info",
  format: "text",
  write: (line) => process.stderr.write(`${process.pid} ${line}`),
})

interface Running {
  status(): object
  refresh?(): void
  stop(graceMs: number): Promise<void>
}

async function start(settings: ProcessSettings): Promise<Running> {
  if (settings.role === "relay") {
    const { listen, store, open, limits, sessionLimits } = settings
    const running = await startRelay({
      listen,
      store,
      log,
      open: open ?? true,
      ...(limits !== undefined && { limits }),
      ...(sessionLimits !== undefined && { sessionLimits }),
    })
    say({ event: "ready", ports: running.addresses.map((address) => ("port" in address ? address.port : 0)) })
    return { status: () => running.relay.status(), stop: (graceMs) => running.stop(graceMs) }
  }
  const { relay, token, instance, limits } = settings
  const running = startAgent({
    relay,
    token,
    instance,
    log,
    ...(limits !== undefined && { limits }),
    onEvent: (event) => {
      if (event.kind === "up") say({ event: "up", again: event.again, downMs: event.downMs })
      else if (event.kind === "draining") say({ event: "draining" })
      else say({ event: event.kind, code: event.error.code, reason: event.error.message })
    },
  })
  for (const [at, tunnel] of settings.tunnels.entries()) {
    await startTunnel(running.agent, tunnel, {
      onExposed: ({ url, name }) => say({ event: "exposed", tunnel: at, url, name }),
      onRefused: (error) =>
        say({ event: "refused", tunnel: at, reason: error.message, code: Reflect.get(error, "code") }),
    })
  }
  say({ event: "ready" })
  return {
    status: () => running.agent.status(),
    refresh: () => running.agent.refresh(),
    stop: (graceMs) => running.stop(graceMs),
  }
}

/** Level memory: after a full collection, and after the allocator had a moment to give pages back. */
async function settleMemory(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await sleep(20)
  }
}

if (import.meta.main) {
  const settings = JSON.parse(process.argv[2] as string) as ProcessSettings
  const running = await start(settings)
  createInterface({ input: process.stdin }).on("line", (line) => {
    const { ask, id } = JSON.parse(line) as { ask: string; id: number }
    if (ask === "status") say({ answer: id, value: running.status() })
    else if (ask === "memory") {
      void settleMemory().then(() => say({ answer: id, value: { ...process.memoryUsage() } }))
    } else if (ask === "refresh") {
      running.refresh?.()
      say({ answer: id, value: null })
    }
  })
  // The test that started us has gone.
  process.stdin.on("end", () => process.exit(0))
  process.on("SIGTERM", () => {
    say({ event: "stopping" })
    void running.stop(settings.drainMs ?? 5_000).then(() => process.exit(0))
  })
}
