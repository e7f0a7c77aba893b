/** `rdv token`: who may connect to the relay of this data folder. It works on the store, whether the relay runs or not. */

import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Store, TokenRecord } from "../store/store.ts"
import { readScopes } from "../store/token-scopes.ts"
import type { TokenScopes } from "../store/token-scopes.ts"
import { commonFlags, dataFlag } from "./common-flags.ts"
import { exitCode } from "./command.ts"
import type { Command, CommandCall } from "./command.ts"
import type { FlagReader } from "./flags.ts"
import { table } from "./output.ts"
import { sameData, withRelayStore } from "./relay-store.ts"
import { claimsText, claimText, day, tokenState } from "./token-facts.ts"
import { readTokenLimits, tokenLimitsText } from "./token-limits.ts"

export const tokenNew: Command = {
  name: "token new",
  summary: "Makes a token for an agent and prints it once.",
  usage: "NAME [flags]",
  words: [1, 1],
  flags: {
    names: { kind: "list", value: "NAMES", summary: "Only these public names; * stands for anything: blog,team-*" },
    ports: { kind: "list", value: "PORTS", summary: "Only these public ports: 2222,3000-3999" },
    services: { kind: "list", value: "SERVICES", summary: "Only these kinds of service: http,tcp,private" },
    channels: {
      kind: "list",
      value: "PATH:RIGHTS",
      summary: "Only these channels and what is below: /jobs:r receives, /results:w sends, /team:rw",
    },
    limit: {
      kind: "list",
      value: "NAME=VALUE",
      summary: "Not more than this: sessions, visitors, requests, bytes, shares, share-size, share-rate",
    },
    expires: { kind: "text", value: "TIME", summary: "Not longer than this: 12h, 30d" },
    ...dataFlag,
    ...commonFlags,
  },
  examples: [
    ["rdv token new laptop > laptop.token", "one that may do everything"],
    ["rdv token new blog --names blog,blog-* --services http --expires 90d", "one that may do little"],
    ["rdv token new guest --limit sessions=5,visitors=100,requests=100/s,bytes=10MB/s", "one that may not do much"],
    [
      "rdv token new lab --services 'share*' --limit shares=3,share-size=20GB,share-rate=20MB/s",
      "one that only shares files",
    ],
  ],
  notes: [
    "Limits hold for all sessions of the token together: sessions and visitors (requests under way and",
    "TCP connections) at a time, requests a second, bytes a second of visitors' traffic up and down.",
    "Shares of files: so many at a time (shares), bytes of each (share-size), and what the relay sends",
    "for all of them together (share-rate).",
    "Without --limit it is 1000 sessions, 10000 visitors and 1000 shares at a time, any size and rate.",
  ],
  run: (call) => withRelayStore(call, (store) => make(call, store)),
}

export const tokenList: Command = {
  name: "token ls",
  summary: "Lists the tokens; never their text.",
  usage: "[flags]",
  words: [0, 0],
  flags: { ...dataFlag, ...commonFlags },
  examples: [["rdv token ls", "newest first, the revoked ones too"]],
  run: (call) => withRelayStore(call, (store) => list(call, store)),
}

export const tokenRemove: Command = {
  name: "token rm",
  summary: "Revokes a token: its sessions end within a second, its shares within three.",
  usage: "ID|NAME [flags]",
  words: [1, 1],
  flags: { ...dataFlag, ...commonFlags },
  examples: [["rdv token rm laptop", "the names that it claimed stay reserved; it says which, and how to free them"]],
  run: (call) => withRelayStore(call, (store) => remove(call, store)),
}

function make({ words, flags, output }: CommandCall, store: Store): number {
  const expiresMs = flags.durationMs("expires")
  const { token, record } = store.createToken({
    name: words[0] as string,
    scopes: scopesOf(flags),
    ...(expiresMs !== undefined && { expiresAt: Date.now() + expiresMs }),
  })
  output.record({ token, ...shown(record) })
  output.line(token)
  if (!output.json) {
    output.note(`rdv: this is the only time that the token of "${record.name}" is shown; it allows ${allowed(record)}`)
  }
  return exitCode.ok
}

function list({ output }: CommandCall, store: Store): number {
  const tokens = store.listTokens()
  for (const token of tokens) output.record(shown(token))
  if (tokens.length === 0) {
    output.note("rdv: there is no token yet; make one: rdv token new NAME")
    return exitCode.ok
  }
  const rows = tokens.map((token) => [
    token.id,
    token.name,
    tokenState(token),
    token.lastUsedAt === null ? "never" : day(token.lastUsedAt),
    allowed(token),
  ])
  for (const line of table([["ID", "NAME", "STATE", "USED", "ALLOWS"], ...rows])) output.line(line)
  return exitCode.ok
}

function remove(call: CommandCall, store: Store): number {
  const { words, output } = call
  const wanted = words[0] as string
  const record = store.revokeToken(wanted)
  if (record === undefined) {
    throw new RdvError("no_route", `There is no living token ${JSON.stringify(wanted)}`, { mend: "see rdv token ls" })
  }
  const claims = store.claimsOf(record.id)
  output.record({ revoked: true, ...shown(record), claims: claims.map(claimText) })
  output.line(`revoked ${record.name} (${record.id}); its sessions end within a second, its shares within three`)
  if (claims.length > 0) {
    output.line(`still reserved for it: ${claimsText(claims)}`)
    output.line(`  hand over:  rdv name move --of ${record.id} --to TOKEN${sameData(call)}`)
    output.line(`  give back:  rdv name release --of ${record.id}${sameData(call)}`)
  }
  return exitCode.ok
}

function scopesOf(flags: FlagReader): TokenScopes {
  const names = flags.list("names")
  const ports = flags.list("ports")
  const services = flags.list("services")
  const channels = flags.list("channels")
  const limits = readTokenLimits(flags.list("limit"))
  return readScopes(
    {
      ...(flags.has("names") && { names: names.map((name) => name.toLowerCase()) }),
      ...(flags.has("ports") && { ports: ports.map(readPorts) }),
      ...(flags.has("services") && { services }),
      ...(flags.has("channels") && { channels }),
      ...(flags.has("limit") && { limits }),
    },
    "The token's scopes",
  )
}

function readPorts(text: string): [number, number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  const from = Number(match?.[1])
  const to = Number(match?.[2] ?? match?.[1])
  if (match !== null && from >= 1 && from <= to && to <= 65_535) return [from, to]
  throw new RdvError("usage", `--ports ${JSON.stringify(text)} is not a range of ports`, {
    mend: "write 2222 or 3000-3999",
  })
}

/** A record as JSON; times as ISO 8601. */
function shown(record: TokenRecord): JsonObject {
  const time = (at: number | null) => (at === null ? null : new Date(at).toISOString())
  return {
    id: record.id,
    name: record.name,
    state: tokenState(record),
    scopes: JSON.parse(JSON.stringify(record.scopes)) as JsonObject,
    createdAt: time(record.createdAt),
    expiresAt: time(record.expiresAt),
    revokedAt: time(record.revokedAt),
    lastUsedAt: time(record.lastUsedAt),
  }
}

function allowed({ scopes: { names, ports, services, channels, limits = {} } }: TokenRecord): string {
  const parts = [
    ...(services === undefined ? [] : [services.join(",") || "no service"]),
    ...(names === undefined ? [] : [`names ${names.join(",") || "none"}`]),
    ...(ports === undefined ? [] : [`ports ${ports.map(([a, b]) => (a === b ? a : `${a}-${b}`)).join(",") || "none"}`]),
  ]
  if (channels !== undefined) parts.push(`channels ${channels.join(",") || "none"}`)
  const most = tokenLimitsText(limits)
  return [...(parts.length === 0 ? ["everything"] : parts), ...(most === "" ? [] : [`at most ${most}`])].join("; ")
}
