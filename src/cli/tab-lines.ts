/** What processes of this machine tell of applications and their servers, for `rdv tab ls` and `rdv status`. */

import { counted } from "../base/counted.ts"
import type { JsonObject } from "../base/json.ts"
import type { FoundProcess } from "../observe/status-socket.ts"
import { branch, list, number, text } from "./json-fields.ts"
import { table } from "./output.ts"
import { size } from "./size.ts"

/** Servers in Node. */
export function localServers(found: readonly FoundProcess[]): JsonObject[] {
  return found.flatMap(({ pid, status }) => {
    const tab = branch(status ?? {}, "tab")
    return tab === undefined ? [] : [{ pid, command: text(status ?? {}, "command"), ...tab }]
  })
}

/** Applications that relays of this machine serve. */
export function publishedApps(found: readonly FoundProcess[]): JsonObject[] {
  return found.flatMap(({ pid, status }) => {
    const tabs = branch(branch(status ?? {}, "relay") ?? {}, "tabs")
    return list(tabs ?? {}, "apps").map((app) => ({ relayPid: pid, ...app }))
  })
}

/** Of `rdv status`. */
export function tabLines(tab: JsonObject): string[] {
  const server = branch(tab, "server") ?? {}
  const requests = counted(number(server, "requests"), "request")
  return [
    `  server    ${text(tab, "url")}`,
    `  answers   ${requests}, ${number(server, "failed")} failed; ${counted(number(server, "openSockets"), "socket")} open`,
  ]
}

export function serverTable(servers: readonly JsonObject[]): string[] {
  const rows = servers.map((server) => [
    String(number(server, "pid")),
    text(server, "url"),
    server["public"] === null ? "-" : text(server, "public"),
    text(server, "app"),
  ])
  return table([["PID", "HERE", "PUBLIC", "APPLICATION"], ...rows])
}

export function appTable(apps: readonly JsonObject[]): string[] {
  const rows = apps.map((app) => [
    String(number(app, "relayPid")),
    text(app, "app"),
    String(number(app, "files")),
    size(number(app, "bytes")),
    text(app, "revision"),
    text(app, "publishedAt").slice(0, 10),
  ])
  return table([["RELAY", "PUBLISHED", "FILES", "SIZE", "REVISION", "SINCE"], ...rows])
}
