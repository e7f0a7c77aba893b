/** What somebody who has a code or a link says with it: which share, by which relay, and who we are there. */

import { RdvError } from "../base/error.ts"
import { parseCode } from "../capabilities/share/code/code.ts"
import type { Code } from "../capabilities/share/code/code.ts"
import type { SwarmKeys } from "../capabilities/share/code/swarm-keys.ts"
import { exitCode } from "./command.ts"
import type { CommandCall } from "./command.ts"
import type { Output } from "./output.ts"
import { guestToken } from "../share-access.ts"
import { connectWishes } from "./share-flags.ts"
import type { ConnectWishes } from "./share-flags.ts"

export interface SharePlace {
  readonly code: Code
  /** Of a link. */
  readonly relay: string | undefined
}

/** Where `rdv share` and `rdv http` listen without a relay elsewhere. */
const usualRelay = "127.0.0.1:8080"

/** Throws `usage`. */
export function codeOf(text: string): SharePlace {
  const code = parseCode(text)
  const url = /^https?:\/\//i.test(text.trim()) ? URL.parse(text.trim()) : null
  if (url === null) return { code, relay: undefined }
  return { code, relay: `${url.protocol}//${url.host}` }
}

/** `--relay` before the link, which another network may reach by another name. */
export function relayOf({ flags }: Pick<CommandCall, "flags">, { relay }: SharePlace): string {
  if (flags.onCommandLine("relay")) return flags.text("relay") as string
  return relay ?? flags.text("relay") ?? usualRelay
}

/** What a receiver adds to the code to reach the relay of a link, or another one. */
export function relayWords(relay: string | undefined, link: string): string {
  const place = (relay ?? codeOf(link).relay ?? usualRelay).replace(/^(?:tcp|http):\/\//, "")
  return place === usualRelay ? "" : ` --relay ${place}`
}

/** Who we are as one of those who have the code. */
export function guestWishes(call: CommandCall, relay: string, swarm: string, keys: SwarmKeys): ConnectWishes {
  const wishes = codeWishes(call, relay)
  return wishes.token === undefined ? { ...wishes, token: guestToken(swarm, keys) } : wishes
}

/**
 * The code is all that is needed. The user's token is for another relay, maybe: only who gives one for this command wants it
 * to be shown to a relay that somebody else's link has named.
 */
export function codeWishes(call: CommandCall, relay: string): ConnectWishes {
  const { flags } = call
  return connectWishes(call, relay, flags.onCommandLine("token") || flags.onCommandLine("token-file"))
}

/** Says what is wrong and answers with the code that a script tells it by; throws what is no matter of shares. */
export function shareExitCode(thrown: unknown, output: Output): number {
  // A disk that is full, a folder that is not there or allows no writing are no matter of shares.
  const isOurs = thrown instanceof RdvError && (thrown.origin === "remote" || !ofDisks.has(thrown.code))
  const code = isOurs ? codes[thrown.code] : undefined
  if (code === undefined) throw thrown
  const { message, mend } = thrown as RdvError
  output.fail(mend === undefined ? message : `${message}: ${mend}`)
  return code
}

const ofDisks: ReadonlySet<RdvError["code"]> = new Set(["limit", "not_found", "forbidden", "too_large"])

const codes: { readonly [code in RdvError["code"]]?: number } = {
  timeout: exitCode.nobody,
  would_block: exitCode.nobody,
  not_found: exitCode.nobody,
  expired: exitCode.gone,
  removed: exitCode.gone,
  closed: exitCode.gone,
  unauthorized: exitCode.gone,
  forbidden: exitCode.gone,
  claimed: exitCode.gone,
  rate_limited: exitCode.gone,
  limit: exitCode.gone,
  too_large: exitCode.gone,
}
