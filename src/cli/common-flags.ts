/** Flags that several commands share, and what they mean. */

import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { RdvError } from "../base/error.ts"
import type { Log, LogLevel } from "../base/log.ts"
import { createLog } from "../observe/log.ts"
import { folders } from "../store/paths.ts"
import type { Folders } from "../store/paths.ts"
import { isTokenText } from "../store/token-text.ts"
import type { TlsDialLimits } from "../transport/tls.ts"
import type { CommandCall, Environment } from "./command.ts"
import type { FlagReader, Flags } from "./flags.ts"

export const commonFlags: Flags = {
  json: { kind: "switch", summary: "Writes JSON lines for programs" },
  help: { kind: "switch", summary: "Shows this" },
}

export const dataFlag: Flags = {
  data: {
    kind: "text",
    value: "DIR",
    env: "RDV_DATA",
    summary: "Keeps tokens, names and certificates there instead of the user's data folder",
  },
}

export const logFlags: Flags = {
  "log-level": { kind: "text", value: "LEVEL", env: "RDV_LOG_LEVEL", summary: "debug, info, warn, error or silent" },
  "log-format": { kind: "text", value: "FORMAT", env: "RDV_LOG_FORMAT", summary: "text or json", default: "text" },
}

export const drainFlag: Flags = {
  drain: {
    kind: "text",
    value: "TIME",
    env: "RDV_DRAIN",
    summary: "How long running exchanges may take to finish after Ctrl+C",
    default: "10s",
  },
}

/** Four pings have to fit in, ms. */
export const leastDeadAfterMs = 1_000

export const deadAfterFlag: Flags = {
  "dead-after": {
    kind: "text",
    value: "TIME",
    env: "RDV_DEAD_AFTER",
    summary: "A link that is silent for so long is dead",
    default: "10s",
  },
}

/** How to reach a relay and who we are there. */
export const relayFlags: Flags = {
  relay: {
    kind: "text",
    value: "ADDRESS",
    env: "RDV_RELAY",
    summary: "The relay: host:port, or with tls://, https://, wss:// or unix: in front",
  },
  token: {
    kind: "text",
    value: "TOKEN",
    env: "RDV_TOKEN",
    summary: "The token; other users may see it on a command line, so prefer the variable or a file",
  },
  "token-file": { kind: "text", value: "FILE", env: "RDV_TOKEN_FILE", summary: "A file that holds the token" },
  "token-in-clear": {
    kind: "switch",
    env: "RDV_TOKEN_IN_CLEAR",
    summary: "Sends the token although the link is not encrypted",
  },
  ca: { kind: "text", value: "FILE", env: "RDV_CA", summary: "Trusts only the authorities of this PEM file" },
  pin: {
    kind: "text",
    value: "sha256:HEX",
    env: "RDV_PIN",
    summary: "Trusts only the certificate with this fingerprint",
  },
  proxy: { kind: "text", value: "URL", env: "RDV_PROXY", summary: "Dials through this HTTP proxy" },
}

/** `--data` moves everything, as `RDV_DATA` does. */
export function foldersOf({ flags, env }: { flags: FlagReader; env: Environment }): Folders {
  const data = flags.text("data")
  return folders({ env: data === undefined ? env : { ...env, RDV_DATA: resolve(data) } })
}

export function relayStorePath(at: Folders): string {
  return join(at.data, "relay.db")
}

const logLevels: readonly (LogLevel | "silent")[] = ["debug", "info", "warn", "error", "silent"]

export function logLevelOf({ flags }: { flags: FlagReader }, quietest: LogLevel | "silent"): LogLevel | "silent" {
  return flags.choice("log-level", logLevels) ?? quietest
}

export function logOf({ flags }: { flags: FlagReader }, quietest: LogLevel | "silent"): Log {
  return createLog({
    level: logLevelOf({ flags }, quietest),
    format: flags.choice("log-format", ["text", "json"]) ?? "text",
  })
}

/** The token from the flag, a file or the environment; undefined without any. Throws `usage`. */
export function tokenOf({ flags, output }: Pick<CommandCall, "flags" | "output">): string | undefined {
  const file = flags.text("token-file")
  const direct = flags.text("token")
  if (flags.onCommandLine("token")) {
    if (flags.onCommandLine("token-file")) {
      throw new RdvError("usage", "--token and --token-file exclude each other", { mend: "leave one out" })
    }
    output.warn("a token on the command line can be seen by others: use --token-file or RDV_TOKEN")
    return checkToken(direct, "--token")
  }
  if (file !== undefined && (flags.onCommandLine("token-file") || direct === undefined)) {
    return checkToken(readText(file, "--token-file").trim(), file)
  }
  return checkToken(direct, "RDV_TOKEN")
}

/** What dialling needs beside the address; `caFlag` is the flag that stands for `--ca`. Throws `usage`. */
export function dialOf({ flags }: { flags: FlagReader }, caFlag = "ca"): Partial<TlsDialLimits> {
  const ca = flags.text(caFlag)
  const pin = flags.text("pin")
  const proxy = flags.text("proxy")
  if (pin !== undefined && !/^(sha256:)?([0-9a-f]{64}|[0-9a-f]{2}(:[0-9a-f]{2}){31})$/i.test(pin)) {
    throw new RdvError("usage", "--pin is not the SHA-256 of a certificate", {
      mend: "write sha256: and 64 hex digits",
    })
  }
  return {
    ...(ca !== undefined && { ca: readText(ca, `--${caFlag}`) }),
    ...(pin !== undefined && { pinSha256: pin.replace(/^sha256:/i, "") }),
    ...(proxy !== undefined && { proxy: readProxy(proxy) }),
  }
}

/** A host alone is a public relay behind HTTPS; `host:port` is taken as it is. */
export function relayAddress(text: string): string {
  return /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/.test(text) && !/^[\d.]+$/.test(text) ? `https://${text}` : text
}

export function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    const missing = (error as { code?: string }).code === "ENOENT"
    throw new RdvError("usage", `The file ${path} of ${what} ${missing ? "does not exist" : "cannot be read"}`, {
      cause: error,
      mend: missing ? "check the path" : "check who may read it",
    })
  }
}

/** A damaged token is told here, before it counts as a failed attempt at the relay. Its text is never repeated. */
function checkToken(token: string | undefined, from: string): string | undefined {
  if (token === undefined || isTokenText(token)) return token
  throw new RdvError("usage", `What ${from} holds is no complete token`, {
    mend: "copy it again: it begins with rdv_ and has 51 characters",
  })
}

function readProxy(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`)
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "") return url
  throw new RdvError("usage", "--proxy is not the address of an HTTP proxy", { mend: "write http://host:port" })
}
