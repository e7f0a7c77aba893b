/** What the flags say about the session to a relay: where it is, who we are there, and how it is dialled. */

import type { StartAgentOptions } from "../node.ts"
import { agentIdentity } from "../store/agent-identity.ts"
import { parseAddress, printAddress } from "../transport/address.ts"
import type { CommandCall } from "./command.ts"
import { dialOf, foldersOf, relayAddress, tokenOf } from "./common-flags.ts"

/** The part of what `startAgent` takes that is the user's; the address is complete, as it is shown. */
export type UplinkOptions = Required<Pick<StartAgentOptions, "relay" | "token" | "instance" | "dial" | "tokenInClear">>

/** `ca`: the name of the flag that is `--ca` elsewhere, for commands where `--ca` is about something else. */
export interface UplinkFlags {
  readonly ca?: string
}

/**
 * Reads `relayFlags` and `dataFlag`; undefined without a relay. Throws `usage` for a bad address, token, file, pin or
 * proxy, and when the identity of this installation cannot be kept.
 */
export function uplinkOptions(
  call: Pick<CommandCall, "flags" | "env" | "output">,
  { ca = "ca" }: UplinkFlags = {},
): UplinkOptions | undefined {
  const { flags } = call
  const address = flags.text("relay")
  if (address === undefined) return undefined
  return {
    relay: printAddress(parseAddress(relayAddress(address), "tcp")),
    token: tokenOf(call),
    instance: agentIdentity(foldersOf(call).state),
    dial: dialOf(call, ca),
    tokenInClear: flags.on("token-in-clear"),
  }
}
