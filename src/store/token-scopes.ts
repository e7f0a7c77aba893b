/**
 * What a token allows. A list that is left out allows everything of its kind; an empty list allows nothing. Scopes are
 * read strictly wherever they come from, so that a misspelt key never widens a token.
 */

import { RdvError } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import { isPathRule } from "../base/path-rights.ts"

export interface TokenScopes {
  /** Host labels; `*` stands for any run of characters: `blog`, `team-*`. */
  readonly names?: readonly string[]
  /** Public ports, both ends included. */
  readonly ports?: readonly (readonly [from: number, to: number])[]
  /** Service names, with `*` as above: `http/*`, `channel`. */
  readonly services?: readonly string[]
  /** Paths of channels with what may be done there and below: `/jobs:r` receives, `/team/results:rw` also sends. */
  readonly channels?: readonly string[]
  readonly limits?: TokenLimits
}

/** All are over all sessions of the token. */
export interface TokenLimits {
  /** At a time. */
  readonly sessions?: number
  /** Requests under way and TCP connections, at a time. */
  readonly visitors?: number
  /** A TCP connection counts as one. */
  readonly requestsPerSecond?: number
  /** Of visitors' traffic, both directions together. */
  readonly bytesPerSecond?: number
  /** Shares of files, at a time. */
  readonly shares?: number
  /** Of one share: bytes of its files, without holes and with equal parts once. */
  readonly shareBytes?: number
  /** What the relay sends for all its shares. */
  readonly shareBytesPerSecond?: number
}

const scopeKeys = ["names", "ports", "services", "channels", "limits"]
const limitKeys = [
  "sessions",
  "visitors",
  "requestsPerSecond",
  "bytesPerSecond",
  "shares",
  "shareBytes",
  "shareBytesPerSecond",
] as const
const listMax = 256

/** Reads scopes from a file, a command line or a row. Throws `usage` that says where; `at` names the place. */
export function readScopes(raw: unknown, at = "scopes"): TokenScopes {
  if (!isJsonObject(raw)) throw wrong(at, "must be an object", 'for example {"names": ["blog", "team-*"]}')
  refuseUnknown(raw, scopeKeys, at)
  return {
    ...(raw["names"] === undefined ? {} : { names: readGlobs(raw["names"], `${at}.names`, /^[a-z0-9*-]{1,63}$/) }),
    ...(raw["ports"] === undefined ? {} : { ports: readPorts(raw["ports"], `${at}.ports`) }),
    ...(raw["services"] === undefined
      ? {}
      : { services: readGlobs(raw["services"], `${at}.services`, /^[a-z0-9*/-]{1,100}$/) }),
    ...(raw["channels"] === undefined ? {} : { channels: readChannels(raw["channels"], `${at}.channels`) }),
    ...(raw["limits"] === undefined ? {} : { limits: readLimits(raw["limits"], `${at}.limits`) }),
  }
}

export function allowsName(scopes: TokenScopes, name: string): boolean {
  return scopes.names === undefined || scopes.names.some((glob) => globMatches(glob, name))
}

export function allowsPort(scopes: TokenScopes, port: number): boolean {
  return scopes.ports === undefined || scopes.ports.some(([from, to]) => port >= from && port <= to)
}

export function allowsService(scopes: TokenScopes, service: string): boolean {
  return scopes.services === undefined || scopes.services.some((glob) => globMatches(glob, service))
}

/** Linear but for the last `*`, whose end is moved on: no pattern makes it slow. */
function globMatches(glob: string, text: string): boolean {
  let inGlob = 0
  let inText = 0
  let star = -1
  let resume = 0
  while (inText < text.length) {
    if (glob[inGlob] === "*") {
      star = inGlob++
      resume = inText
    } else if (glob[inGlob] === text[inText]) {
      inGlob++
      inText++
    } else if (star >= 0) {
      inGlob = star + 1
      inText = ++resume
    } else return false
  }
  while (glob[inGlob] === "*") inGlob++
  return inGlob === glob.length
}

function readGlobs(raw: unknown, at: string, shape: RegExp): string[] {
  return readList(raw, at).map((item, index) => {
    if (typeof item === "string" && shape.test(item)) return item
    throw wrong(`${at}[${index}]`, "is not a name or pattern", "use lower-case letters, digits, - and *")
  })
}

function readChannels(raw: unknown, at: string): string[] {
  return readList(raw, at).map((item, index) => {
    if (typeof item === "string" && isPathRule(item)) return item
    throw wrong(`${at}[${index}]`, "is not a path with its rights", "write /jobs:r, /results:w or /team:rw")
  })
}

function readPorts(raw: unknown, at: string): [number, number][] {
  return readList(raw, at).map((item, index) => {
    const [from, to] = Array.isArray(item) && item.length === 2 ? (item as unknown[]) : []
    if (isPort(from) && isPort(to) && from <= to) return [from, to]
    throw wrong(`${at}[${index}]`, "is not a range of ports", "write [from, to], for example [2200, 2299]")
  })
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535
}

function readLimits(raw: unknown, at: string): TokenLimits {
  if (!isJsonObject(raw)) throw wrong(at, "must be an object", 'for example {"sessions": 4}')
  refuseUnknown(raw, limitKeys, at)
  const limits: Partial<Record<(typeof limitKeys)[number], number>> = {}
  for (const key of limitKeys) {
    const value = raw[key]
    if (value === undefined) continue
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw wrong(`${at}.${key}`, "must be a whole number above 0", "leave it out for no limit")
    }
    limits[key] = value as number
  }
  return limits
}

function readList(raw: unknown, at: string): unknown[] {
  if (!Array.isArray(raw)) throw wrong(at, "must be a list", "leave it out to allow everything")
  if (raw.length > listMax) throw wrong(at, `has more than ${listMax} entries`, "use patterns with *")
  return raw as unknown[]
}

function refuseUnknown(raw: object, known: readonly string[], at: string): void {
  const unknown = Object.keys(raw).find((key) => !known.includes(key))
  if (unknown !== undefined) throw wrong(at, `has an unknown key "${unknown}"`, `known are ${known.join(", ")}`)
}

function wrong(at: string, what: string, mend: string): RdvError {
  return new RdvError("usage", `${at} ${what}`, { mend })
}
