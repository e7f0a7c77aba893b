/** Flags of `rdv share` and `rdv get`, and what they mean. */

import { existsSync } from "node:fs"
import { RdvError } from "../base/error.ts"
import type { HooksOptions } from "../capabilities/share/terminal/hooks.ts"
import { askPassword } from "../capabilities/share/terminal/password.ts"
import type { SeedUntil } from "../capabilities/share/terminal/swarm-story.ts"
import { readByteRate, readBytes } from "../config/quantity.ts"
import { readTextFile } from "../config/text-file.ts"
import type { CommandCall } from "./command.ts"
import { dialOf, foldersOf, relayAddress, relayFlags, tokenOf } from "./common-flags.ts"
import { dashed } from "./flags.ts"
import type { FlagReader, Flags } from "./flags.ts"
import { agentIdentity } from "../store/agent-identity.ts"
import type { TlsDialLimits } from "../transport/tls.ts"
import { parseAddress, printAddress } from "../transport/address.ts"

export const passwordFlags: Flags = {
  password: { kind: "switch", summary: "Asks for a password that the code does not hold" },
  "password-file": {
    kind: "text",
    value: "FILE",
    env: "RDV_SHARE_PASSWORD_FILE",
    summary: "The password is the first line of this file; RDV_SHARE_PASSWORD holds it as well",
  },
}

export const memberFlags: Flags = {
  limit: { kind: "text", value: "RATE", summary: "Sends no more than this to others: 10MB/s, 8Mbit/s" },
  direct: { kind: "text", value: "on|off", summary: "Connections to other members, without the relay", default: "on" },
  multicast: {
    kind: "text",
    value: "auto|on|off",
    summary: "Once to all in the same network, where it passes multicast",
    default: "auto",
  },
}

export const connectFlags: Flags = {
  ...relayFlags,
  wait: { kind: "text", value: "TIME", summary: "How long the relay may take to be there at first", default: "10s" },
}

/** Of `rdv share`. */
export const hookFlags: Flags = {
  "on-client-done": { kind: "list", value: "HOOK", summary: "A URL or command, told when a receiver has everything" },
  "on-all-done": { kind: "list", value: "HOOK", summary: "When all receivers have everything" },
  "on-failed": { kind: "list", value: "HOOK", summary: "When a receiver gives up, or this command does" },
}

/** Of `rdv get`. */
export const getHookFlags: Flags = {
  "on-done": { kind: "list", value: "HOOK", summary: "A URL or command, told when everything is in its place" },
  "on-failed": { kind: "list", value: "HOOK", summary: "When it gives up" },
}

export function getHooksOf({ flags }: Pick<CommandCall, "flags">): HooksOptions["hooks"] {
  return { done: flags.values("on-done"), failed: flags.values("on-failed") }
}

/** Each hook whole: a comma may be part of a command. */
export function hooksOf({ flags }: Pick<CommandCall, "flags">): HooksOptions["hooks"] {
  return {
    "client-done": flags.values("on-client-done"),
    "all-done": flags.values("on-all-done"),
    failed: flags.values("on-failed"),
  }
}

export interface MemberWishes {
  readonly limitBytesPerSecond: number | undefined
  readonly direct: boolean
  readonly multicast: "auto" | "on" | "off"
}

export function memberWishes({ flags }: Pick<CommandCall, "flags">): MemberWishes {
  return {
    limitBytesPerSecond: byteRate(flags, "limit"),
    direct: flags.choice("direct", ["on", "off"]) !== "off",
    multicast: flags.choice("multicast", ["auto", "on", "off"]) ?? "auto",
  }
}

/** Of the session to a relay; without `address` it is the user's. */
export interface ConnectWishes {
  readonly relay: string
  readonly token: string | undefined
  readonly tokenInClear: boolean
  readonly dial: Partial<TlsDialLimits>
  readonly instance: string
  readonly firstMs: number
}

/** Throws `usage`. */
export function connectWishes(call: CommandCall, address: string, withToken = true): ConnectWishes {
  const { flags } = call
  return {
    relay: printAddress(parseAddress(relayAddress(address), "tcp")),
    token: withToken ? tokenOf(call) : undefined,
    tokenInClear: flags.on("token-in-clear"),
    dial: dialOf(call),
    instance: agentIdentity(foldersOf(call).state),
    firstMs: flags.durationMs("wait", 1) as number,
  }
}

/** The password, if there is to be one. `twice` makes sure that it is what was meant. Throws `usage`. */
export async function passwordOf(
  call: CommandCall,
  { twice }: { readonly twice: boolean },
): Promise<string | undefined> {
  const { flags, env } = call
  // It would be a path otherwise, or seen by others.
  if (flags.values("password").some((value) => value !== "true")) {
    throw new RdvError("usage", "--password takes no value: others could see it on the command line", {
      mend: "use --password-file or RDV_SHARE_PASSWORD",
    })
  }
  const file = flags.text("password-file")
  const fromEnv = env["RDV_SHARE_PASSWORD"] || undefined
  if (flags.on("password")) {
    const streams = { stdin: process.stdin, stderr: process.stderr }
    const typed = await askPassword("password: ", streams)
    if (typed === "")
      throw new RdvError("usage", "The password is empty", { mend: "type one, or leave --password out" })
    if (twice && (await askPassword("again: ", streams)) !== typed) {
      throw new RdvError("usage", "The two passwords differ", { mend: "try again" })
    }
    return typed
  }
  if (file !== undefined && (flags.onCommandLine("password-file") || fromEnv === undefined)) {
    const text = readTextFile(file, 4_096).split("\n", 1)[0]?.replace(/\r$/, "") ?? ""
    if (text === "") throw new RdvError("usage", `${file} holds no password`, { mend: "write it on its first line" })
    return text
  }
  return fromEnv
}

/** Bytes a second of a flag like `--limit 10MB/s`. */
export function byteRate(flags: FlagReader, name: string): number | undefined {
  const text = flags.text(name)
  return text === undefined ? undefined : named(name, () => readByteRate(text))
}

/** Bytes of a flag like `--chunk 256KiB`. */
export function byteCount(flags: FlagReader, name: string): number | undefined {
  const text = flags.text(name)
  return text === undefined ? undefined : named(name, () => readBytes(text))
}

/** `complete`, `copies=3`, `forever`. */
export function seedUntil(text: string): SeedUntil {
  if (text === "forever" || text === "complete") return { kind: text }
  const copies = /^copies=(\d{1,6})$/.exec(text)?.[1]
  if (copies !== undefined && Number(copies) > 0 && Number(copies) <= mostCopies)
    return { kind: "copies", copies: Number(copies) }
  throw new RdvError("usage", `--seed-until ${JSON.stringify(text)} is not known`, {
    mend: `use complete, copies=1 to copies=${mostCopies}, or forever`,
  })
}

/** The relay's picture counts no further. */
const mostCopies = 8

/** Two things that somebody mixes up often. */
export function checkPaths(paths: readonly string[]): void {
  for (const path of paths) {
    if (path === "-" || existsSync(path)) continue
    throw new RdvError("usage", `There is no file or folder ${JSON.stringify(path)}`, {
      mend: /^\d{6}-/.test(path) ? "to receive, write rdv get" : "check the path",
    })
  }
}

function named<Result>(name: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof RdvError)) throw error
    throw new RdvError(error.code, `${dashed(name)} ${error.message}`, {
      ...(error.mend !== undefined && { mend: error.mend }),
      cause: error,
    })
  }
}
