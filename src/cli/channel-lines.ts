/** What `rdv status` tells of the channels of a relay or channel server. */

import { printable, tableLines } from "../base/columns.ts"
import { counted } from "../base/counted.ts"
import type { JsonObject } from "../base/json.ts"
import { branch, list, number, text } from "./json-fields.ts"
import { size } from "./size.ts"

/** The busiest; `rdv chan ls` and `rdv chan top` show all. */
const shown = 5

export function channelLines(relay: JsonObject): string[] {
  const channels = branch(relay, "channels")
  if (channels === undefined) return []
  const ports = relay["channelPorts"]
  const places = Array.isArray(ports) ? ports.filter((each) => typeof each === "string") : []
  const count = number(channels, "channels")
  const facts = [
    counted(count, "channel"),
    counted(number(channels, "conversations"), "9P conversation"),
    `${size(number(channels, "messageBytes"))} of messages held`,
  ]
  const busiest = list(channels, "busiest").slice(0, shown)
  const rows = busiest.map((each) => [
    `  ${printable(text(each, "path"))}`,
    String(number(each, "received")),
    String(number(each, "delivered")),
    String(number(each, "waitingSenders")),
    String(number(each, "waitingReceivers")),
  ])
  return [
    ...(places.length === 0 ? [] : [`  channels  ${printable(places.join("  "))}`]),
    `            ${facts.join(", ")}`,
    ...(rows.length === 0
      ? []
      : tableLines(
          [["  CHANNEL", "RECEIVED", "DELIVERED", "SEND", "RECV"], ...rows],
          ["left", "right", "right", "right", "right"],
        )),
    ...(count > rows.length ? [`  … and ${counted(count - rows.length, "more channel")} (rdv chan ls)`] : []),
  ]
}
