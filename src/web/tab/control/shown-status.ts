/** The state of a server in words, as the control page shows it. What a newer or older server does not tell is left out. */

import type { Json, JsonObject } from "../../../base/json.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { TabStatus } from "../messages.ts"

export type Facts = readonly (readonly [what: string, value: string])[]

export interface ShownPeer {
  readonly name: string
  readonly way: string
  readonly roundTrip: string
  readonly trouble: string | undefined
}

export interface ShownStatus {
  /** `asleep`: it wants to be public, and the relay does not reach it. */
  readonly state: "private" | "public" | "asleep"
  readonly relayTrouble: string | undefined
  readonly relay: Facts
  readonly database: Facts
  readonly server: Facts
  readonly peers: readonly ShownPeer[]
}

export function shownStatus(status: TabStatus): ShownStatus {
  const { url, relay, epoch, isDurable, key } = status
  const session = objectIn(objectIn(relay ?? {}, "agent"), "session")
  const database = objectIn(status, "database")
  const server = objectIn(status, "server")
  const wants = relay !== null
  return {
    state: url !== null ? "public" : wants ? "asleep" : "private",
    relayTrouble: textIn(relay ?? {}, "trouble"),
    relay: facts([
      ["Relay", textIn(objectIn(relay ?? {}, "agent"), "relay")],
      ["Link", wants ? linkWords(textIn(session, "state")) : undefined],
      ["Round trip", wants ? msWords(numberIn(session, "rttMs")) : undefined],
    ]),
    database: facts([
      ["Size", bytesWords(numberIn(database, "bytes"))],
      ["Commits since its start", numberIn(database, "commits")?.toLocaleString()],
      ["A commit takes", msWords(numberIn(database, "mean_commit_ms"))],
      ["The slowest took", msWords(numberIn(database, "slowest_commit_ms"))],
      ["Waiting", numberIn(database, "waiting")?.toLocaleString()],
    ]),
    server: facts([
      ["Epoch", String(epoch)],
      ["Kept on disk", isDurable ? "yes" : "no: all is gone with the last tab"],
      ["Requests", numberIn(server, "requests")?.toLocaleString()],
      ["Failed", numberIn(server, "failed")?.toLocaleString()],
      ["Open WebSockets", numberIn(server, "openSockets")?.toLocaleString()],
      ["Key", key ?? undefined],
    ]),
    peers: peersIn(status["peers"]),
  }
}

export function bytesWords(bytes: number | undefined): string | undefined {
  if (bytes === undefined) return undefined
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(0)} KiB`
  return bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}

function peersIn(json: Json | undefined): ShownPeer[] {
  if (!Array.isArray(json)) return []
  return (json as readonly Json[]).filter(isJsonObject).map((peer) => ({
    name: textIn(peer, "name") ?? "?",
    way: peer["path"] === "direct" ? "directly" : "by the relay",
    roundTrip: msWords(numberIn(peer, "rttMs")) ?? "–",
    trouble:
      textIn(peer, "formerKey") === undefined
        ? textIn(peer, "trouble")
        : "It has another key than before: perhaps somebody else has the name now",
  }))
}

function linkWords(state: string | undefined): string {
  if (state === "live") return "stands"
  return state === undefined ? "is being made" : state === "suspended" ? "lost, and made again" : state
}

function msWords(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
}

function facts(rows: readonly (readonly [string, string | undefined])[]): Facts {
  return rows.flatMap(([what, value]) => (value === undefined ? [] : [[what, value] as const]))
}

function objectIn(json: JsonObject, name: string): JsonObject {
  const value = json[name]
  return isJsonObject(value) ? value : {}
}

function textIn(json: JsonObject, name: string): string | undefined {
  const value = json[name]
  return typeof value === "string" ? value : undefined
}

function numberIn(json: JsonObject, name: string): number | undefined {
  const value = json[name]
  return typeof value === "number" ? value : undefined
}
