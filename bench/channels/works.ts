/** What each system is asked to do. */

import type { PartyMode } from "./party/party.ts"

export interface Work {
  /** The part of `--only`. */
  readonly part: "single" | "core" | "window" | "many" | "stream"
  readonly name: string
  readonly mode: PartyMode
  readonly bytes: number
  /** Producers, and as many consumers: connections of one process each. */
  readonly connections: number
  /** Messages under way, over all connections. */
  readonly inFlight: number
  /** All processes share one core: no wake-up has to reach another one. */
  readonly isPinned?: boolean
}

export const sizes = [
  { bytes: 128, name: "128 B" },
  { bytes: 4096, name: "4 KiB" },
] as const

const forms = [
  { part: "single", mode: "confirm", connections: 1, inFlight: 1 },
  { part: "core", mode: "confirm", connections: 1, inFlight: 1, isPinned: true },
  { part: "window", mode: "confirm", connections: 1, inFlight: 128 },
  { part: "many", mode: "confirm", connections: 10, inFlight: 130 },
  { part: "stream", mode: "pour", connections: 1, inFlight: 1_024 },
] as const

export const works: readonly Work[] = forms.flatMap((form) =>
  sizes.map(({ bytes, name }) => ({ ...form, bytes, name: `${form.part} ${name}` })),
)
