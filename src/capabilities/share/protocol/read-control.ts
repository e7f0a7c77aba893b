/**
 * Reads what members and the relay write to each other (`control.ts`): each is written by somebody else, so nothing in it is
 * believed before it was looked at, and every text and list has a bound. Keys that nobody knows are left out.
 */

import { fromBase64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import { largestTableBytes, mostChunks } from "../content/chunk-table.ts"
import type {
  ByteWays,
  MemberMessage,
  MemberPicture,
  PeerAddress,
  RelayMessage,
  ShareHeader,
  ShareRules,
  SwarmPicture,
  TableFacts,
} from "./control.ts"

/** Most chunks that one message names. */
export const mostNamedChunks = 4096
/** Most addresses where a member listens. */
export const mostAddresses = 16
/** Most members that one message names: of a picture, of `peers`. */
export const mostNamedMembers = 256

const longestMember = 64
const longestLabel = 64
const longestText = 512

/** Throws `protocol` and names the field. */
export function readShareHeader(json: JsonObject): ShareHeader {
  const swarm = matching(json, "swarm", /^\d{6}$/)
  switch (json["do"]) {
    case "publish":
      return {
        do: "publish",
        swarm,
        member: memberName(json, "member"),
        access: key32(json, "access"),
        publisher: bytesText(json, "publisher", 16, 64),
        table: readTableFacts(json["table"], "table"),
        ...readRules(json),
      }
    case "join":
      return {
        do: "join",
        swarm,
        member: memberName(json, "member"),
        access: key32(json, "access"),
        ...(json["label"] !== undefined && { label: text(json, "label", longestLabel) }),
        ...(json["looks"] !== undefined && { looks: flag(json, "looks") }),
      }
    case "watch":
      return { do: "watch", swarm, access: key32(json, "access") }
    default:
      throw wrong("do")
  }
}

/** The header of a `share/pieces` stream. Throws `protocol`. */
export function readPiecesHeader(json: JsonObject): { readonly ticket: string } {
  return { ticket: bytesText(json, "ticket", 1, 64) }
}

/** What a member sent. Throws `protocol` and names the field. */
export function readMemberMessage(json: JsonObject): MemberMessage {
  const verb = json["do"]
  switch (verb) {
    case "version":
      return { do: verb, table: readTableFacts(json["table"], "table") }
    case "holds":
      return { do: verb, version: version(json), bitmap: bytesText(json, "bitmap", 1, mostChunks / 8) }
    case "have":
      return { do: verb, version: version(json), chunks: chunks(json), via: readWays(json["via"], "via") }
    case "lost":
      return { do: verb, version: version(json), chunks: chunks(json) }
    case "window":
      return { do: verb, bytes: count(json, "bytes") }
    case "uplink":
      return {
        do: verb,
        ...(json["bytesPerSecond"] !== undefined && { bytesPerSecond: count(json, "bytesPerSecond") }),
      }
    case "failed":
      return {
        do: verb,
        version: version(json),
        chunk: chunkNumber(json["chunk"], "chunk"),
        from: memberName(json, "from"),
        why: oneOf(json, "why", ["corrupt", "late", "refused", "lost"]),
      }
    case "reach":
      return { do: verb, addresses: addresses(json["addresses"], "addresses") }
    case "path":
      return {
        do: verb,
        member: memberName(json, "member"),
        state: oneOf(json, "state", ["up", "down"]),
        over: text(json, "over", 32),
      }
    case "begin":
      return { do: verb }
    case "done":
      return { do: verb, version: version(json) }
    case "failure":
      return { do: verb, reason: text(json, "reason", longestText) }
    case "cast":
      return { do: verb, state: oneOf(json, "state", ["heard", "deaf"]) }
    case "casting":
      return { do: verb, state: oneOf(json, "state", ["begun", "over"]) }
    case "end":
      return { do: verb, ...(json["now"] !== undefined && { now: flag(json, "now") }) }
    default:
      throw wrong("do")
  }
}

/** What the relay sent. Throws `protocol` and names the field. */
export function readRelayMessage(json: JsonObject): RelayMessage {
  const verb = json["do"]
  switch (verb) {
    case "welcome":
      return {
        do: verb,
        you: memberName(json, "you"),
        ticket: bytesText(json, "ticket", 1, 64),
        connections: flag(json, "connections"),
        ...(json["url"] !== undefined && { url: text(json, "url", longestText) }),
        once: flag(json, "once"),
        ...(json["expiresMs"] !== undefined && { expiresMs: count(json, "expiresMs") }),
      }
    case "table":
      return { do: verb, table: readTableFacts(json["table"], "table") }
    case "take":
      return { do: verb, version: version(json), chunks: readTakes(json["chunks"]) }
    case "drop":
      return { do: verb, version: version(json), chunks: chunks(json) }
    case "peers":
      return { do: verb, peers: list(json["peers"], "peers", mostNamedMembers, readPeer) }
    case "nowhere":
      return {
        do: verb,
        version: version(json),
        ranges: list(json["ranges"], "ranges", 32, readRange),
        more: count(json, "more"),
      }
    case "needed":
      return { do: verb, needed: flag(json, "needed") }
    case "swarm":
      return { do: verb, picture: readPicture(json["picture"]) }
    case "finished":
      return { do: verb, member: text(json, "member", longestLabel), ms: count(json, "ms") }
    case "failure":
      return { do: verb, member: text(json, "member", longestLabel), reason: text(json, "reason", longestText) }
    default:
      throw wrong("do")
  }
}

function readTableFacts(json: unknown, key: string): TableFacts {
  const table = object(json, key)
  const bytes = count(table, "bytes", largestTableBytes)
  if (bytes === 0) throw wrong("bytes")
  return { version: version(table), bytes, mac: key32(table, "mac") }
}

function readRules(json: JsonObject): ShareRules {
  const { once, expiresMs, maxPeers, cache } = json
  return {
    ...(once !== undefined && { once: flag(json, "once") }),
    ...(expiresMs !== undefined && { expiresMs: count(json, "expiresMs") }),
    ...(maxPeers !== undefined && { maxPeers: count(json, "maxPeers") }),
    ...(cache !== undefined && { cache: flag(json, "cache") }),
  }
}

function readWays(json: unknown, key: string): ByteWays {
  const ways = object(json, key)
  return { relay: count(ways, "relay"), direct: count(ways, "direct"), cast: count(ways, "cast") }
}

function readTakes(json: unknown): (readonly [number, string])[] {
  return list(json, "chunks", mostNamedChunks, (item) => {
    if (!Array.isArray(item) || item.length !== 2) throw wrong("chunks")
    const [chunk, member] = item as unknown[]
    if (typeof member !== "string" || !memberForm.test(member)) throw wrong("chunks")
    return [chunkNumber(chunk, "chunks"), member] as const
  })
}

function readRange(json: unknown): readonly [number, number] {
  if (!Array.isArray(json) || json.length !== 2) throw wrong("ranges")
  const [first, last] = [chunkNumber(json[0], "ranges"), chunkNumber(json[1], "ranges")]
  if (first > last) throw wrong("ranges")
  return [first, last]
}

function readPeer(json: unknown): PeerAddress {
  const peer = object(json, "peers")
  return {
    member: memberName(peer, "member"),
    addresses: addresses(peer["addresses"], "addresses"),
    dial: flag(peer, "dial"),
  }
}

function readPicture(json: unknown): SwarmPicture {
  const picture = object(json, "picture")
  const cache = object(picture["cache"], "cache")
  const relay = object(picture["relay"], "relay")
  return {
    swarm: matching(picture, "swarm", /^\d{6}$/),
    version: count(picture, "version", 2 ** 32 - 1),
    chunks: count(picture, "chunks", mostChunks),
    bytes: count(picture, "bytes"),
    copies: list(picture["copies"], "copies", 10, (item) => countOf(item, "copies")),
    cache: {
      chunks: count(cache, "chunks"),
      bytes: count(cache, "bytes"),
      hits: count(cache, "hits"),
      misses: count(cache, "misses"),
    },
    relay: { inBytes: count(relay, "inBytes"), outBytes: count(relay, "outBytes") },
    members: list(picture["members"], "members", mostNamedMembers, readMemberPicture),
    more: count(picture, "more"),
  }
}

function readMemberPicture(json: unknown): MemberPicture {
  const member = object(json, "members")
  return {
    label: text(member, "label", longestLabel),
    role: oneOf(member, "role", ["sender", "receiver"]),
    state: oneOf(member, "state", ["working", "done", "waiting", "looking", "away", "failed"]),
    have: count(member, "have", mostChunks),
    line: matching(member, "line", /^\d{0,32}$/),
    inBytesPerSecond: amount(member, "inBytesPerSecond"),
    outBytesPerSecond: amount(member, "outBytesPerSecond"),
    via: readWays(member["via"], "via"),
    paths: count(member, "paths"),
    ...(member["note"] !== undefined && { note: text(member, "note", longestText) }),
  }
}

// The forms that values have.

const memberForm = /^[A-Za-z0-9_-]{1,64}$/

/** 1-64 characters of base64url; `relay` is one of them. */
function memberName(json: JsonObject, key: string): string {
  return matching(json, key, memberForm)
}

function matching(json: JsonObject, key: string, form: RegExp): string {
  const value = json[key]
  if (typeof value !== "string" || value.length > longestMember || !form.test(value)) throw wrong(key)
  return value
}

function key32(json: JsonObject, key: string): string {
  return bytesText(json, key, 32, 32)
}

/** Bytes as base64url, and there is one such text for them. */
function bytesText(json: JsonObject, key: string, least: number, most: number): string {
  const value = json[key]
  if (typeof value !== "string" || value.length > Math.ceil((most * 4) / 3)) throw wrong(key)
  const bytes = fromBase64url(value)
  if (bytes === undefined || bytes.length < least || bytes.length > most) throw wrong(key)
  return value
}

function text(json: JsonObject, key: string, most: number): string {
  const value = json[key]
  if (typeof value !== "string" || value.length === 0 || value.length > most) throw wrong(key)
  return value
}

function flag(json: JsonObject, key: string): boolean {
  const value = json[key]
  if (typeof value !== "boolean") throw wrong(key)
  return value
}

function oneOf<T extends string>(json: JsonObject, key: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === json[key])
  if (found === undefined) throw wrong(key)
  return found
}

function version(json: JsonObject): number {
  const value = count(json, "version", 2 ** 32 - 1)
  if (value === 0) throw wrong("version")
  return value
}

function count(json: JsonObject, key: string, most: number = Number.MAX_SAFE_INTEGER): number {
  return countOf(json[key], key, most)
}

function countOf(value: unknown, key: string, most: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > most) throw wrong(key)
  return value
}

/** A measured number, which may have a fraction. */
function amount(json: JsonObject, key: string): number {
  const value = json[key]
  if (typeof value !== "number" || !(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw wrong(key)
  return value
}

function chunkNumber(value: unknown, key: string): number {
  return countOf(value, key, mostChunks - 1)
}

function chunks(json: JsonObject): number[] {
  return list(json["chunks"], "chunks", mostNamedChunks, (item) => chunkNumber(item, "chunks"))
}

function addresses(json: unknown, key: string): string[] {
  return list(json, key, mostAddresses, (item) => {
    const match =
      typeof item === "string" && item.length <= 272
        ? /^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.%a-z]+\]):(\d{1,5})$/.exec(item)
        : null
    if (match === null || Number(match[1]) === 0 || Number(match[1]) > 65535) throw wrong(key)
    return item as string
  })
}

function list<T>(json: unknown, key: string, most: number, read: (item: unknown) => T): T[] {
  if (!Array.isArray(json) || json.length > most) throw wrong(key)
  return json.map(read)
}

function object(json: unknown, key: string): JsonObject {
  if (!isJsonObject(json)) throw wrong(key)
  return json
}

function wrong(key: string): RdvError {
  return new RdvError("protocol", `"${key}" of a message about a share is missing or wrong`)
}
