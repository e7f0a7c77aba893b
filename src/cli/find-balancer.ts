/** The running balancer that a command is about: the only one of this user, one of several, or one on another machine. */

import { RdvError } from "../base/error.ts"
import { AdminClient } from "../capabilities/balance/admin/admin-client.ts"
import { readToken } from "../capabilities/balance/admin/admin-server.ts"
import { readStatuses } from "../observe/status-socket.ts"
import type { CommandCall } from "./command.ts"
import { dataFlag, foldersOf } from "./common-flags.ts"
import type { Flags } from "./flags.ts"

export const balancerFlags: Flags = {
  pid: { kind: "text", value: "PID", summary: "The balancer with this process id, when several run" },
  admin: {
    kind: "text",
    value: "URL",
    env: "RDV_ADMIN",
    summary: "The admin address of a balancer elsewhere: http://127.0.0.1:9000",
  },
  "admin-token-file": {
    kind: "text",
    value: "FILE",
    env: "RDV_ADMIN_TOKEN_FILE",
    summary: "A file that holds the token for --admin",
  },
  ...dataFlag,
}

export interface FoundBalancer {
  /** `pid 4242`, or its address. */
  readonly label: string
  readonly client: AdminClient
}

/** All that are meant. Rejects with `usage`; resolves with none when none runs. */
export async function findBalancers(call: CommandCall): Promise<readonly FoundBalancer[]> {
  const { flags } = call
  const admin = flags.text("admin")
  if (admin !== undefined) return [remote(admin, flags.text("admin-token-file"))]
  const pid = flags.whole("pid", 1, 2 ** 31)
  const found = await readStatuses(foldersOf(call).state)
  return found
    .filter((each) => each.role === "balance" && (pid === undefined || each.pid === pid))
    .map((each) => ({ label: `pid ${each.pid}`, client: new AdminClient({ kind: "socket", path: each.path }) }))
}

/** Rejects with `unreachable` when there is none, and with `usage` when there are several. */
export async function findBalancer(call: CommandCall): Promise<AdminClient> {
  const found = await findBalancers(call)
  const [first] = found
  if (first === undefined) throw noBalancer()
  if (found.length === 1) return first.client
  const files = await Promise.all(found.map(async ({ label, client }) => `${label} (${await fileOf(client)})`))
  throw new RdvError("usage", `Several balancers run: ${files.join(", ")}`, { mend: "say which one with --pid" })
}

export function noBalancer(): RdvError {
  return new RdvError("unreachable", "No balancer of this user is running", {
    mend: "start one with rdv balance, or name one elsewhere with --admin",
  })
}

async function fileOf(client: AdminClient): Promise<string> {
  try {
    return (await client.snapshot()).configFile
  } catch {
    return "it does not answer"
  }
}

function remote(admin: string, tokenFile: string | undefined): FoundBalancer {
  const url = URL.parse(admin.includes("://") ? admin : `http://${admin}`)
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new RdvError("usage", "--admin is not an HTTP address", { mend: "write http://host:port" })
  }
  const token = tokenFile === undefined ? undefined : readToken(tokenFile)
  return { label: url.host, client: new AdminClient({ kind: "url", url, token }) }
}
