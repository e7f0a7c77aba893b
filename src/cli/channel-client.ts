/** The session of a `rdv chan` command to its channel server: which server, who we are there, and its end. */

import { channels } from "../channels.ts"
import type { Channels } from "../channels.ts"
import { RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import { parseAddress, printAddress } from "../transport/address.ts"
import { exitCode } from "./command.ts"
import type { CommandCall } from "./command.ts"
import { dialOf, relayAddress, relayFlags, tokenOf } from "./common-flags.ts"
import type { Flags } from "./flags.ts"

const { relay: _relay, ...credentials } = relayFlags

export const serverFlags: Flags = {
  server: {
    kind: "text",
    value: "ADDRESS",
    env: "RDV_CHANNELS",
    summary: "The channel server or relay: host:port, or with tls://, https:// or unix: in front",
    default: "127.0.0.1:5640",
  },
  wait: {
    kind: "text",
    value: "TIME",
    summary: "How long the server may take to be there, when it starts later than its clients",
    default: "1s",
  },
  ...credentials,
}

/** For a handshake that has begun. */
const slowMs = 10_000

/** Works with a session that ends afterwards. Rejects with `unreachable` when nobody is there, and with what `work` throws. */
export async function withChannels(call: CommandCall, work: (server: Channels) => Promise<number>): Promise<number> {
  const { flags } = call
  const address = parseAddress(relayAddress(flags.text("server") as string), "tcp")
  const token = tokenOf(call)
  const { ca, pinSha256, proxy } = dialOf(call)
  const waitMs = flags.durationMs("wait", 1) as number
  let server: Channels
  try {
    server = await channels({
      relay: printAddress(address),
      tokenInClear: flags.on("token-in-clear"),
      ...(token !== undefined && { token }),
      ...(ca !== undefined && { ca: ca as string }),
      ...(pinSha256 !== undefined && { pinSha256 }),
      ...(proxy !== undefined && { proxy }),
      // Who listens and is slow, because the machine is busy or the way long, is there.
      connectMs: Math.max(waitMs, slowMs),
      refusedMs: waitMs,
    })
  } catch (error) {
    if (!(error instanceof RdvError) || error.code !== "unreachable" || flags.has("server")) throw error
    throw new RdvError("unreachable", error.message, {
      cause: error,
      mend: "start a server with rdv chan serve, or name one with --server",
    })
  }
  try {
    return await work(server)
  } catch (error) {
    const code = error instanceof RdvError ? codes[error.code] : undefined
    if (code === undefined) throw error
    const { message, mend } = error as RdvError
    call.output.fail(mend === undefined ? message : `${message}: ${mend}`)
    return code
  } finally {
    await server.close()
  }
}

/** What a loop in a script has to tell apart. */
const codes: Partial<Record<ErrorCode, number>> = {
  timeout: exitCode.nobody,
  would_block: exitCode.nobody,
  closed: exitCode.gone,
  removed: exitCode.gone,
  not_found: exitCode.gone,
}
