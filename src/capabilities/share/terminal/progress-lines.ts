/** How far a receiver is: three lines at most on a terminal, one elsewhere. Figures in, lines out. */

import { clip, plain, printable } from "../../../base/columns.ts"
import type { Paint } from "../../../base/columns.ts"
import { counted } from "../../../base/counted.ts"
import type { ByteWays } from "../protocol/control.ts"
import { amount, lasting, percent, rate } from "./amounts.ts"

export interface ProgressFigures {
  /** What comes; undefined before the manifest is there. */
  readonly name: string | undefined
  /** What happens, in a few words: `receiving`, `checking what is there`, `everything is here; serving others`. */
  readonly phase: string
  /** Of the content. 0: not known yet. */
  readonly bytes: number
  readonly haveBytes: number
  /** Of `haveBytes`, those that were there before. */
  readonly foundBytes: number
  /** undefined: not measured yet. */
  readonly bytesPerSecond: number | undefined
  /** Sent to others so far. */
  readonly sentBytes: number
  readonly via: ByteWays
  /** Other members with a path of their own to this one. */
  readonly peers: number
  /** Why nothing moves. */
  readonly waitsFor: string | undefined
}

export function progressFrame(figures: ProgressFigures, columns: number, paint: Paint = plain): string[] {
  const { name, phase, bytes, waitsFor } = figures
  const lines = [clip(name === undefined ? phase : `${printable(name)}  ${phase}`, columns)]
  if (bytes > 0) {
    const words = amounts(figures)
    const room = Math.min(32, columns - words.length - 2)
    lines.push(
      room < 8
        ? clip(words, columns)
        : `${paint("green", bar(figures.haveBytes, bytes, room))}  ${clip(words, columns)}`,
    )
    lines.push(paint("dim", clip(origins(figures), columns)))
  }
  if (waitsFor !== undefined) lines.push(paint("yellow", clip(`waiting for ${printable(waitsFor)}`, columns)))
  return lines
}

export function progressLine(figures: ProgressFigures): string {
  const { name, phase, bytes, waitsFor } = figures
  // What it waits for says that it waits.
  const waits = phase === "waiting" && waitsFor !== undefined
  const parts = [
    ...(name !== undefined ? [`${printable(name)}: ${phase}`] : waits ? [] : [phase]),
    ...(bytes > 0 ? [amounts(figures), origins(figures)] : []),
    ...(waitsFor === undefined ? [] : [`waiting for ${printable(waitsFor)}`]),
  ]
  return parts.join("; ")
}

/** `from relay 40.0 MiB, 3 peers 12.0 MiB, multicast 8.0 MiB; there before 1.0 MiB; sent 5.0 MiB`. */
export function origins({
  via,
  peers,
  foundBytes,
  sentBytes,
}: Pick<ProgressFigures, "via" | "peers" | "foundBytes" | "sentBytes">): string {
  const from = [
    ...(via.relay > 0 ? [`relay ${amount(via.relay)}`] : []),
    ...(via.direct > 0 || peers > 0 ? [`${peersOf(peers)} ${amount(via.direct)}`] : []),
    ...(via.cast > 0 ? [`multicast ${amount(via.cast)}`] : []),
  ]
  return [
    from.length === 0 ? "nothing came yet" : `from ${from.join(", ")}`,
    ...(foundBytes > 0 ? [`there before ${amount(foundBytes)}`] : []),
    ...(sentBytes > 0 ? [`sent ${amount(sentBytes)}`] : []),
  ].join("; ")
}

/** Of those who gave something all may have left. */
function peersOf(peers: number): string {
  return peers === 0 ? "peers" : counted(peers, "peer")
}

function amounts({ bytes, haveBytes, bytesPerSecond }: ProgressFigures): string {
  const left = Math.max(0, bytes - haveBytes)
  const moves = left > 0 && bytesPerSecond !== undefined && bytesPerSecond > 0
  return [
    `${String(percent(haveBytes, bytes)).padStart(3)} %`,
    `${amount(haveBytes)} of ${amount(bytes)}`,
    ...(left > 0 && bytesPerSecond !== undefined ? [rate(bytesPerSecond)] : []),
    ...(moves ? [`${lasting((left / bytesPerSecond) * 1_000)} left`] : []),
  ].join("  ")
}

/** Full, part and empty characters of a bar. */
export function bar(part: number, whole: number, columns: number): string {
  const share = whole <= 0 ? 1 : Math.min(1, Math.max(0, part / whole))
  // Rounded down, so that it is full only at the end.
  const eighths = Math.floor(share * columns * 8)
  const full = Math.floor(eighths / 8)
  const rest = full < columns ? (parts[eighths % 8] as string) : ""
  return "█".repeat(full) + rest + "·".repeat(Math.max(0, columns - full - rest.length))
}

const parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"] as const
