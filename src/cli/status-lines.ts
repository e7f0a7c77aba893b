/** The human form of a process's status, in 80 columns. Figures come as JSON from another process, maybe of another version. */

import { counted } from "../base/counted.ts"
import type { Json, JsonObject } from "../base/json.ts"
import type { FoundProcess } from "../observe/status-socket.ts"
import { balanceLines } from "./balance-lines.ts"
import { channelLines } from "./channel-lines.ts"
import { branch, list, number, text } from "./json-fields.ts"
import type { Output } from "./output.ts"
import { printable, table, wrapped } from "./output.ts"
import { bytesText } from "./token-limits.ts"
import { size } from "./size.ts"
import { tabLines } from "./tab-lines.ts"
import { span } from "./uplink-lines.ts"

/** A relay may have thousands; `--json` tells all. */
const shownSessions = 20

export function processLines({ role, pid, status }: FoundProcess, output: Output): string[] {
  if (status === undefined) {
    return [
      `${output.paint("bold", role)}  pid ${pid}  ${output.paint("red", "does not answer: stopped or overloaded")}`,
    ]
  }
  const relay = branch(status, "relay")
  const agent = branch(status, "agent")
  const balance = branch(status, "balance")
  const tab = branch(status, "tab")
  const facts = [
    `pid ${pid}`,
    `up ${span(number(status, "uptimeMs"))}`,
    `memory ${size(number(status, "memoryBytes"))}`,
    `version ${text(status, "version")}`,
  ]
  return [
    output.paint("bold", cut(text(status, "command"), 80)),
    `  process   ${facts.join("  ")}`,
    ...(relay === undefined ? [] : relayLines(relay, agent === undefined)),
    ...(tab === undefined ? [] : tabLines(tab)),
    ...(agent === undefined ? [] : agentLines(agent, relay === undefined)),
    ...(balance === undefined ? [] : balanceLines(balance)),
  ].map((line) => line.trimEnd())
}

function relayLines(relay: JsonObject, withSessions: boolean): string[] {
  const visitors = branch(relay, "visitors") ?? {}
  const access = relay["open"] === true ? "open to agents without a token" : "agents need a token"
  const sessions = list(relay, "sessions")
  const routes = list(relay, "routes")
  const addresses = relay["addresses"]
  const places = Array.isArray(addresses) ? (addresses as Json[]).filter((each) => typeof each === "string") : []
  // A channel server has no visitors and no names, only sessions.
  if (places.length === 0 && branch(relay, "channels") !== undefined) {
    return [...channelLines(relay), ...sessionTable(sessions), ...tokenTable(list(relay, "tokens"))]
  }
  return [
    ...(withSessions
      ? [`  listens   ${printable(places.join("  "))}`, `  names     below ${text(relay, "domain")}; ${access}`]
      : []),
    `  visitors  ${number(visitors, "visitors")} connected, ${counted(number(visitors, "requests"), "request")}, ` +
      `${number(visitors, "refused")} refused; ${counted(number(visitors, "tcpConnections"), "TCP connection")}`,
    ...(withSessions
      ? [
          ...channelLines(relay),
          ...sessionTable(sessions),
          ...routeTable(routes),
          ...appTable(list(branch(relay, "tabs") ?? {}, "apps")),
          ...delayedTable(list(relay, "delayed")),
          ...tokenTable(list(relay, "tokens")),
          ...limitLines(relay),
        ]
      : []),
  ]
}

function agentLines(agent: JsonObject, withRelay: boolean): string[] {
  const session = branch(agent, "session")
  const services = list(agent, "services").flatMap((service) => {
    const name = text(service, "service")
    const refused = service["refused"]
    const url = typeof service["url"] === "string" ? service["url"] : "not announced yet"
    const delayed = branch(service, "delayed")
    const where =
      typeof refused === "string"
        ? `refused: ${refused}`
        : delayed === undefined
          ? url
          : `delayed: ${text(delayed, "reason")}; asked again in ${span(number(delayed, "retryMs"))}`
    const [first = "", ...more] = wrapped(printable(where), 68)
    const target = text(branch(agent, name) ?? {}, "target")
    return [
      `  ${(name.split("/")[0] ?? "").padEnd(8)}  ${first}`,
      ...more.map((line) => `            ${line}`),
      `            → ${cut(target, 66)}`,
    ]
  })
  return [
    ...(withRelay ? [`  relay     ${text(agent, "relay")}`] : []),
    ...services,
    ...(session === undefined ? ["  session   none: the relay is not reached"] : sessionTable([session])),
    ...limitLines(agent),
  ]
}

function sessionTable(sessions: readonly JsonObject[]): string[] {
  if (sessions.length === 0) return ["  sessions  none"]
  const head = ["  SESSION", "STATE", "LINK", "TRIP", "STREAMS", "IN", "OUT", "RESUMES", "RESENT"]
  const rows = sessions
    .slice(0, shownSessions)
    .map((session) => [
      `  ${text(session, "id").slice(0, 8)}`,
      session["kind"] === "tab" ? `${text(session, "state")} tab` : text(session, "state"),
      text(session, "link"),
      `${number(session, "rttMs").toFixed(1)} ms`,
      String(number(session, "streams")),
      size(number(session, "bytesIn")),
      size(number(session, "bytesOut")),
      String(number(session, "resumes")),
      size(number(session, "retransmittedBytes")),
    ])
  const more = sessions.length - rows.length
  return [
    ...table([head, ...rows], 1),
    ...(more > 0 ? [`  … and ${counted(more, "more session")} (--json shows all)`] : []),
  ]
}

function routeTable(routes: readonly JsonObject[]): string[] {
  if (routes.length === 0) return ["  routes    none"]
  const rows = routes
    .slice(0, shownSessions)
    .map((route) => [`  ${text(route, "url")}`, text(route, "service"), text(route, "session").slice(0, 8)])
  const more = routes.length - rows.length
  return [
    ...table([["  ROUTE", "SERVICE", "SESSION"], ...rows]),
    ...(more > 0 ? [`  … and ${counted(more, "more route")} (--json shows all)`] : []),
  ]
}

/** Applications that run in visitors' tabs. */
function appTable(apps: readonly JsonObject[]): string[] {
  if (apps.length === 0) return []
  const rows = apps.slice(0, shownSessions).map((app) => {
    const day = text(app, "publishedAt").slice(0, 10)
    return [
      `  ${text(app, "app")}`,
      String(number(app, "files")),
      size(number(app, "bytes")),
      text(app, "revision"),
      day,
    ]
  })
  const more = apps.length - rows.length
  return [
    ...table([["  APPLICATION", "FILES", "SIZE", "REVISION", "SINCE"], ...rows]),
    ...(more > 0 ? [`  … and ${counted(more, "more application")} (--json shows all)`] : []),
  ]
}

/** What agents have announced and the relay cannot bind yet. */
function delayedTable(delayed: readonly JsonObject[]): string[] {
  if (delayed.length === 0) return []
  const rows = delayed.slice(0, shownSessions).map((each) => {
    const kind = text(each, "kind")
    const name = typeof each["name"] === "string" ? `${kind}/${text(each, "name")}` : kind
    return [`  ${name}`, text(each, "session").slice(0, 8), span(number(each, "sinceMs")), text(each, "reason")]
  })
  const more = delayed.length - rows.length
  return [
    ...table([["  DELAYED", "SESSION", "SINCE", "WHY"], ...rows]).map((line) => shorten(line, 80)),
    ...(more > 0 ? [`  … and ${more} more that wait (--json shows all)`] : []),
  ]
}

/** Of tokens that have sessions now, with the limits in force. */
function tokenTable(tokens: readonly JsonObject[]): string[] {
  if (tokens.length === 0) return []
  const rows = tokens.slice(0, shownSessions).map((token) => {
    const limits = branch(token, "limits") ?? {}
    const { requestsPerSecond, bytesPerSecond } = limits
    return [
      `  ${text(token, "name").slice(0, 16)}`,
      `${number(token, "sessions")} of ${number(limits, "sessions")}`,
      `${number(token, "visitors")} of ${number(limits, "visitors")}`,
      String(number(token, "refused")),
      typeof requestsPerSecond === "number" ? String(requestsPerSecond) : "any",
      typeof bytesPerSecond === "number" ? bytesText(bytesPerSecond) : "any",
    ]
  })
  const more = tokens.length - rows.length
  return [
    ...table([["  TOKEN", "SESSIONS", "VISITORS", "REFUSED", "REQUESTS/S", "BYTES/S"], ...rows]),
    ...(more > 0 ? [`  … and ${counted(more, "more token")} (--json shows all)`] : []),
  ]
}

function limitLines(of: JsonObject): string[] {
  const limits = branch(of, "limits")
  if (limits === undefined) return []
  const parts = [
    ...(limits["graceMs"] === undefined ? [] : [`grace ${span(number(limits, "graceMs"))}`]),
    ...(limits["deadAfterMs"] === undefined ? [] : [`silent link dead after ${span(number(limits, "deadAfterMs"))}`]),
    ...(limits["logBytes"] === undefined ? [] : [`replay log ${size(number(limits, "logBytes"))}`]),
    ...["streams", "sessions", "visitors"]
      .filter((name) => limits[name] !== undefined)
      .map((name) => `${number(limits, name)} ${name}`),
  ]
  const lines: string[] = []
  for (const part of parts) {
    const last = lines.at(-1)
    if (last === undefined || last.length + part.length > 64) lines.push(part)
    else lines[lines.length - 1] = `${last}, ${part}`
  }
  return lines.map((line, at) => `  ${at === 0 ? "limits" : "      "}    ${line}`)
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}

/** The end of a long path says more than its beginning. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `…${text.slice(text.length - most + 1)}`
}
