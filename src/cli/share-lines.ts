/** What processes of this machine tell of their shares, for `rdv share status`. */

import { bar } from "../capabilities/share/terminal/progress-lines.ts"
import { amount, percent, rate } from "../capabilities/share/terminal/amounts.ts"
import { counted } from "../base/counted.ts"
import type { JsonObject } from "../base/json.ts"
import type { FoundProcess } from "../observe/status-socket.ts"
import { branch, list, number, text } from "./json-fields.ts"
import { table } from "./output.ts"

/** A share of this machine: a process's own, as sender or receiver. */
export function localShares(found: readonly FoundProcess[]): JsonObject[] {
  return found.flatMap(({ pid, status }) => {
    const share = branch(branch(status ?? {}, "agent") ?? {}, "share")
    return share === undefined ? [] : [{ pid, ...share }]
  })
}

/** Swarms of relays on this machine; they know no names and no sizes of files. */
export function relaySwarms(found: readonly FoundProcess[]): JsonObject[] {
  return found.flatMap(({ pid, status }) => {
    const share = branch(branch(status ?? {}, "relay") ?? {}, "share")
    return list(share ?? {}, "swarms").map((swarm) => ({ relayPid: pid, ...swarm }))
  })
}

export function shareLines(shares: readonly JsonObject[]): string[] {
  const rows = shares.map((share) => {
    const bytes = number(share, "bytes")
    const have = number(share, "haveBytes")
    return [
      String(number(share, "pid")),
      text(share, "role"),
      text(share, "swarm"),
      `${String(percent(have, bytes)).padStart(3)} % ${bar(have, bytes, 16)}`,
      amount(bytes),
      rate(number(share, "inBytesPerSecond")),
      rate(number(share, "outBytesPerSecond")),
      text(share, "name"),
    ]
  })
  return table([["PID", "ROLE", "SWARM", "HAS", "OF", "IN", "OUT", "NAME"], ...rows])
}

export function swarmTable(swarms: readonly JsonObject[]): string[] {
  const rows = swarms.map((swarm) => [
    String(number(swarm, "relayPid")),
    text(swarm, "swarm"),
    swarm["sender"] === true ? "here" : "away",
    counted(number(swarm, "receivers"), "receiver"),
    String(number(swarm, "finished")),
    // After a restart of the relay nobody knows before somebody comes.
    swarm["bytes"] === null ? "-" : amount(number(swarm, "bytes")),
    amount(number(swarm, "inBytes")),
    amount(number(swarm, "outBytes")),
  ])
  return table([["RELAY", "SWARM", "SENDER", "HERE", "DONE", "OF", "IN", "OUT"], ...rows])
}
