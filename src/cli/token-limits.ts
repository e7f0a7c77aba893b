/** The limits of a token as people write them (`requests=100/s`, `bytes=10MB/s`), and as they are shown. */

import { counted } from "../base/counted.ts"
import { RdvError } from "../base/error.ts"
import type { TokenLimits } from "../store/token-scopes.ts"

interface Kind {
  readonly limit: keyof TokenLimits
  readonly shape: RegExp
  readonly example: string
}

const kinds: { readonly [name: string]: Kind } = {
  sessions: { limit: "sessions", shape: /^(\d{1,9})$/, example: "5" },
  visitors: { limit: "visitors", shape: /^(\d{1,9})$/, example: "100" },
  requests: { limit: "requestsPerSecond", shape: /^(\d{1,9})\/s$/, example: "100/s" },
  bytes: { limit: "bytesPerSecond", shape: /^(\d{1,9}(?:\.\d{1,3})?) ?([kK]B|[KMG]iB|[MG]B|B)\/s$/, example: "10MB/s" },
  shares: { limit: "shares", shape: /^(\d{1,9})$/, example: "5" },
  "share-size": { limit: "shareBytes", shape: /^(\d{1,6}(?:\.\d{1,3})?) ?([kK]B|[KMGT]iB|[MGT]B|B)$/, example: "20GB" },
  "share-rate": {
    limit: "shareBytesPerSecond",
    shape: /^(\d{1,9}(?:\.\d{1,3})?) ?([kK]B|[KMG]iB|[MG]B|B)\/s$/,
    example: "20MB/s",
  },
}

/** Those that amounts are shown in come first, of equals the first. */
const units: readonly (readonly [unit: string, bytes: number])[] = [
  ["TB", 1e12],
  ["GB", 1e9],
  ["MB", 1e6],
  ["kB", 1e3],
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
  ["B", 1],
  ["KB", 1e3],
]

/** Reads `NAME=VALUE` texts. Throws `usage`. */
export function readTokenLimits(texts: readonly string[]): TokenLimits {
  const limits: { -readonly [limit in keyof TokenLimits]: number } = {}
  for (const text of texts) {
    const shown = `--limit ${JSON.stringify(text)}`
    const [name = "", ...values] = text.split("=")
    const value = values.length > 0 ? values.join("=") : undefined
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
    if (kind === undefined || value === undefined) {
      const known = Object.entries(kinds).map(([each, { example }]) => `${each}=${example}`)
      throw new RdvError("usage", `${shown} is no limit of a token`, { mend: `write ${known.join(" or ")}` })
    }
    if (limits[kind.limit] !== undefined) {
      throw new RdvError("usage", `The limit ${name} is given twice`, { mend: "leave one out" })
    }
    const match = kind.shape.exec(value)
    const [, size] = units.find(([unit]) => unit === match?.[2]) ?? ["", 1]
    const number = Math.round(Number(match?.[1]) * size)
    if (match === null || number < 1) {
      throw new RdvError("usage", `${shown} has no value that can be used`, { mend: `write ${name}=${kind.example}` })
    }
    limits[kind.limit] = number
  }
  return limits
}

/** `5 sessions, 100 requests/s, 10 MB/s`; empty without any. */
export function tokenLimitsText(limits: { readonly [limit in keyof TokenLimits]?: number | undefined }): string {
  const { sessions, visitors, requestsPerSecond, bytesPerSecond, shares, shareBytes, shareBytesPerSecond } = limits
  return [
    ...(sessions === undefined ? [] : [counted(sessions, "session")]),
    ...(visitors === undefined ? [] : [counted(visitors, "visitor")]),
    ...(requestsPerSecond === undefined ? [] : [`${requestsPerSecond} requests/s`]),
    ...(bytesPerSecond === undefined ? [] : [`${bytesText(bytesPerSecond)}/s`]),
    ...(shares === undefined ? [] : [counted(shares, "share")]),
    ...(shareBytes === undefined ? [] : [`${bytesText(shareBytes)} a share`]),
    ...(shareBytesPerSecond === undefined ? [] : [`${bytesText(shareBytesPerSecond)}/s for shares`]),
  ].join(", ")
}

/** In the unit that it was probably written in: the one that tells it exactly with the fewest digits. */
export function bytesText(bytes: number): string {
  const exact = units
    .map(([unit, size]) => ({ unit, size, value: Math.round((bytes / size) * 1e3) / 1e3 }))
    .filter(({ size, value }) => value >= 1 && Math.round(value * size) === bytes)
    .toSorted((a, b) => String(a.value).length - String(b.value).length)
  const [best] = exact
  return best === undefined ? `${bytes} B` : `${best.value} ${best.unit}`
}
