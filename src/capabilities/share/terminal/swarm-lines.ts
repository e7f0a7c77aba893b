/** The picture of a swarm as text: a line for each member, how often the chunks exist, bytes by their ways. */

import { clip, plain, printable, tableLines } from "../../../base/columns.ts"
import type { Align, Paint, Style } from "../../../base/columns.ts"
import { counted } from "../../../base/counted.ts"
import type { ByteWays, MemberPicture, SwarmPicture } from "../protocol/control.ts"
import { amount, percent, rate } from "./amounts.ts"

export interface SwarmLinesOptions {
  readonly columns: number
  /** Of members; the others are counted. */
  readonly rows?: number
  readonly paint?: Paint
}

export function swarmLines(picture: SwarmPicture, options: SwarmLinesOptions): string[] {
  const { columns, rows = Infinity, paint = plain } = options
  const { members, more } = picture
  const shown = members.slice(0, members.length <= rows ? rows : Math.max(1, rows - 1))
  const left = members.length - shown.length + more
  const cells = shown.map((member) => rowOf(member, picture.chunks))
  const [head = "", ...body] = tableLines([memberHeads, ...cells], memberAligns, 2)
  return [
    paint("bold", clip(titleOf(picture), columns)),
    ...[copiesLine(picture), waysLine(picture), relayLine(picture)].map((line) => clip(line, columns)),
    ...(shown.length === 0 ? [] : [paint("dim", clip(head, columns))]),
    ...body.map((line, at) => {
      const { state, note } = shown[at] as MemberPicture
      const text = note === undefined || note === "" ? line : `${line}  ${printable(note)}`
      const style = styles[state]
      return style === undefined ? clip(text, columns) : paint(style, clip(text, columns))
    }),
    ...(left > 0 ? [paint("dim", `… ${left} more`)] : []),
  ]
}

/** One line, for where nothing is drawn in place. `finished`: who is through, also those who left since. */
export function swarmLine(picture: SwarmPicture, finished = 0): string {
  const receivers = receiversOf(picture)
  const working = receivers.filter(({ state }) => state === "working" || state === "waiting")
  const inRate = receivers.reduce((sum, { inBytesPerSecond }) => sum + inBytesPerSecond, 0)
  return [
    `swarm ${picture.swarm}`,
    counted(Math.max(receivers.length + picture.more, finished), "receiver"),
    `${Math.max(receivers.filter(({ state }) => state === "done").length, finished)} done`,
    ...(working.length > 0 ? [`slowest ${Math.min(...working.map((each) => shareOf(each, picture)))} %`] : []),
    rate(inRate),
    `each part at least ${counted(fewestCopies(picture), "time")}`,
  ].join(", ")
}

/** How often the rarest chunk exists, the relay's cache not counted. */
export function fewestCopies({ copies }: SwarmPicture): number {
  const at = copies.findIndex((chunks) => chunks > 0)
  return at < 0 ? 0 : at
}

/** A member's 32 parts, each 0 (nothing of it) to 9 (all), as heights. */
export function partsBar(line: string): string {
  return line.replaceAll(/./gs, (digit) => heights[Number(digit)] ?? "?")
}

const heights = ["·", "▁", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const

const memberHeads = ["MEMBER", "STATE", "HAS", "PARTS", "IN", "OUT", "FROM"]
const memberAligns: readonly Align[] = ["left", "left", "right", "left", "right", "right", "left"]

const styles: Partial<Record<MemberPicture["state"], Style>> = { done: "green", failed: "red", away: "dim" }

function rowOf(member: MemberPicture, chunks: number): string[] {
  const { label, role, state, have, line, inBytesPerSecond, outBytesPerSecond } = member
  return [
    clip(`${printable(label)}${role === "sender" && label !== "sender" ? " (sender)" : ""}`, 24),
    state,
    `${percent(have, chunks)} %`,
    partsBar(line),
    rate(inBytesPerSecond),
    rate(outBytesPerSecond),
    waysOf(member.via),
  ]
}

/** `relay 80 %, direct 20 %`. */
function waysOf(via: ByteWays): string {
  const sum = via.relay + via.direct + via.cast
  if (sum === 0) return "-"
  const parts = waysIn(via).map(([name, bytes]) => `${name} ${Math.round((bytes / sum) * 100)} %`)
  return parts.join(", ")
}

function waysIn({ relay, direct, cast }: ByteWays): [name: string, bytes: number][] {
  const all: [string, number][] = [
    ["relay", relay],
    ["direct", direct],
    ["multicast", cast],
  ]
  return all.filter(([, bytes]) => bytes > 0)
}

function titleOf({ swarm, version, chunks, bytes, members, more }: SwarmPicture): string {
  const facts = [
    `swarm ${swarm}`,
    ...(version > 1 && version < 1e6 ? [`version ${version}`] : []),
    `${amount(bytes)} in ${counted(chunks, "chunk")}`,
    counted(members.length + more, "member"),
  ]
  return facts.join(", ")
}

/** `copies   1: 12  2: 380  9+: 8`: how many chunks exist how often. */
function copiesLine(picture: SwarmPicture): string {
  const last = picture.copies.length - 1
  const parts = picture.copies.flatMap((chunks, at) =>
    chunks === 0 ? [] : [`${at === 0 ? "nowhere" : `${at}${at === last && at >= 9 ? "+" : ""}×`} ${chunks}`],
  )
  return `copies   ${parts.length === 0 ? "none" : parts.join(", ")}`
}

function waysLine(picture: SwarmPicture): string {
  const sum = { relay: 0, direct: 0, cast: 0 }
  for (const { via } of picture.members) {
    sum.relay += via.relay
    sum.direct += via.direct
    sum.cast += via.cast
  }
  const parts = waysIn(sum).map(([name, bytes]) => `${name} ${amount(bytes)}`)
  return `came by  ${parts.length === 0 ? "nothing came yet" : parts.join(", ")}`
}

function relayLine({ relay, cache, bytes }: SwarmPicture): string {
  const asked = cache.hits + cache.misses
  const multiple = bytes > 0 && relay.outBytes > 0 ? ` (${(relay.outBytes / bytes).toFixed(1)}×)` : ""
  return [
    `relay    in ${amount(relay.inBytes)}, out ${amount(relay.outBytes)}${multiple}`,
    `cache ${amount(cache.bytes)} in ${counted(cache.chunks, "chunk")}`,
    ...(asked > 0 ? [`${Math.floor((cache.hits / asked) * 100)} % hits`] : []),
  ].join(", ")
}

function receiversOf({ members }: SwarmPicture): readonly MemberPicture[] {
  return members.filter(({ role }) => role === "receiver")
}

function shareOf({ have }: MemberPicture, { chunks }: SwarmPicture): number {
  return percent(have, chunks)
}
