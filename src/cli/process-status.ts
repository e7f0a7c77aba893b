/** What a running command tells `rdv status` about itself. */

import type { JsonObject } from "../base/json.ts"
import type { AdminServer } from "../capabilities/balance/admin/admin-server.ts"
import type { Control } from "../capabilities/balance/admin/control.ts"
import type { Log } from "../base/log.ts"
import { version } from "../node.ts"
import type { RunningAgent, RunningRelay } from "../node.ts"
import { openStatusSocket } from "../observe/status-socket.ts"
import type { ProcessRole } from "../observe/status-socket.ts"
import { folders } from "../store/paths.ts"
import { printAddress } from "../transport/address.ts"
import type { Environment } from "./command.ts"

export interface ToldProcess {
  /** The command without its flags, which may hold secrets. */
  readonly command: string
  readonly relay?: RunningRelay | undefined
  readonly agent?: RunningAgent | undefined
  readonly balance?: ToldBalancer | undefined
  /** A server of an application. */
  readonly tab?: { status(): JsonObject } | undefined
}

export interface ToldBalancer {
  readonly control: Control
  /** Undefined: it is not administered through the socket. */
  readonly handle: AdminServer["handle"] | undefined
}

/**
 * Answers until the returned function is called. A process without a status socket works all the same. The folder is the
 * user's own, whatever `--data` says, so that one `rdv status` finds all.
 */
export async function tellStatus(env: Environment, told: ToldProcess, log: Log): Promise<() => Promise<void>> {
  const startedAt = new Date()
  const role = roleOf(told)
  const handle = told.balance?.handle
  try {
    const socket = await openStatusSocket({
      stateFolder: folders({ env }).state,
      role,
      read: () => read(told, role, startedAt),
      ...(handle !== undefined && { handle }),
    })
    return () => socket.close()
  } catch (error) {
    log.warn("status.unavailable", { reason: (error as Error).message })
    return () => Promise.resolve()
  }
}

function roleOf({ relay, agent, balance, tab }: ToldProcess): ProcessRole {
  if (tab !== undefined) return "tab"
  if (balance !== undefined) return "balance"
  if (relay === undefined) return "agent"
  return agent === undefined ? "relay" : "local"
}

async function read(
  { command, relay, agent, balance, tab }: ToldProcess,
  role: string,
  startedAt: Date,
): Promise<JsonObject> {
  const { user, system } = process.cpuUsage()
  return {
    role,
    pid: process.pid,
    version,
    command,
    startedAt: startedAt.toISOString(),
    uptimeMs: Date.now() - startedAt.getTime(),
    memoryBytes: process.memoryUsage.rss(),
    cpuMs: Math.round((user + system) / 1_000),
    ...(relay !== undefined && { relay: { addresses: relay.addresses.map(printAddress), ...relay.relay.status() } }),
    ...(agent !== undefined && { agent: agent.agent.status() }),
    ...(tab !== undefined && { tab: tab.status() }),
    ...(balance !== undefined && { balance: (await balance.control.snapshot()) as unknown as JsonObject }),
  }
}
