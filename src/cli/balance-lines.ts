/** The part of `rdv status` about a balancer, in 80 columns; and what is the state of a target in a word or two. */

import { clip, tableLines } from "../base/columns.ts"
import { counted } from "../base/counted.ts"
import type { JsonObject } from "../base/json.ts"
import { isFailure } from "../capabilities/balance/connection/blame.ts"
import { endings } from "../capabilities/balance/connection/ending.ts"
import type { Ending } from "../capabilities/balance/connection/ending.ts"
import { branch, list, number, text } from "./json-fields.ts"
import { size } from "./size.ts"
import { span } from "./uplink-lines.ts"

const columns = 80

/** `--json` tells all. */
const shownTargets = 20

export function balanceLines(balance: JsonObject): string[] {
  const reloads = branch(balance, "reloads") ?? {}
  const most = balance["maxConnections"]
  const connections = counted(number(balance, "connections"), "connection")
  const wrong = typeof reloads["lastError"] === "string" ? [`the file is wrong: ${text(reloads, "lastError")}`] : []
  return [
    `  file      ${text(balance, "configFile")}, read again ${counted(number(reloads, "good"), "time")}`,
    ...wrong.map((line) => `            ${line}`),
    `  now       ${typeof most === "number" ? `${number(balance, "connections")} of ${most} connections` : connections}`,
    ...list(balance, "apps").flatMap(appLines),
  ].map((line) => clip(line, columns))
}

/** `up`, `draining`, `down: HTTP 503`, `ejected 12 s`, `asleep`. */
export function targetState(target: JsonObject): string {
  const { obstacle, wake } = target
  if (obstacle === "down" && text(target, "healthReason") !== "") return `down: ${text(target, "healthReason")}`
  if (obstacle === "ejected") return `ejected ${span(number(target, "ejectedForMs"))}`
  if (typeof obstacle === "string") return text(target, "obstacle")
  return typeof wake === "string" && wake !== "ready" ? text(target, "wake") : "up"
}

/** `listening`, `refusing`, or what is wrong with the worst of its listeners. */
export function appState(app: JsonObject): string {
  const listeners = list(app, "listeners")
  const bad = listeners.find((listener) => listener["state"] !== "listening")
  if (bad !== undefined) return text(bad, "state")
  return app["panic"] === true ? "panic" : "listening"
}

/** Connections that ended without the service that they should have had. */
export function failuresOf(app: JsonObject): number {
  return failureReasons(app).reduce((sum, [, count]) => sum + count, 0)
}

/** The most frequent first. */
export function failureReasons(app: JsonObject): (readonly [reason: string, count: number])[] {
  const counts = branch(app, "endings") ?? {}
  return Object.keys(counts)
    .filter((reason) => Object.hasOwn(endings, reason) && isFailure(reason as Ending))
    .map((reason) => [reason, number(counts, reason)] as const)
    .toSorted(([, a], [, b]) => b - a)
}

function appLines(app: JsonObject): string[] {
  const listeners = list(app, "listeners")
  const places = listeners.map((each) => text(each, "address")).join(", ")
  const troubles = listeners
    .filter((each) => typeof each["error"] === "string")
    .map((each) => `            ${text(each, "address")}: ${text(each, "error")}`)
  const reasons = failureReasons(app)
    .slice(0, 3)
    .map(([reason, count]) => `${count} ${reason}`)
  const rows = list(app, "targets")
    .slice(0, shownTargets)
    .map((target) => {
      const totals = branch(target, "totals") ?? {}
      const { latencyMs } = target
      return [
        `  ${clip(text(target, "name"), 26)}`,
        clip(targetState(target), 18),
        String(number(target, "active")),
        String(number(totals, "connections")),
        size(number(totals, "bytesUp")),
        size(number(totals, "bytesDown")),
        typeof latencyMs === "number" ? `${latencyMs.toFixed(1)} ms` : "–",
      ]
    })
  const more = list(app, "targets").length - rows.length
  return [
    `  ${text(app, "name").padEnd(8)}  ${text(app, "policy")} on ${places}; ${appState(app)}`,
    ...troubles,
    `            ${counted(number(app, "active"), "connection")}, ${number(app, "queued")} waiting, ${number(app, "total")} so far, ` +
      `${failuresOf(app)} failed${reasons.length === 0 ? "" : ` (${reasons.join(", ")})`}`,
    ...(rows.length === 0
      ? ["            no targets"]
      : tableLines([["  TARGET", "STATE", "NOW", "TOTAL", "UP", "DOWN", "CONNECT"], ...rows], targetAligns, 2)),
    ...(more > 0 ? [`  … and ${counted(more, "more target")} (--json shows all)`] : []),
  ]
}

const targetAligns = ["left", "left", "right"] as const
