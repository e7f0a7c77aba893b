/**
 * What a user said about a run, before anything is filled in: from flags, from a file, or from both. Each setting knows
 * where it was said, so that two that contradict each other can be told by the names that the user wrote.
 */

import { RdvError } from "../../../base/error.ts"
import type { Expectation, Framing, MessageEntry, MessagePlan, ShapePlan } from "./scenario.ts"

export interface Given<Value> {
  readonly value: Value
  /** Begins a sentence: `--rate`, `load.yaml:3:7: "rate"`. */
  readonly from: string
}

/** Names are those of flags and of keys in files. */
export interface SettingValues {
  readonly name: string
  readonly model: "open" | "closed"
  readonly rate: WrittenPhase
  readonly connections: WrittenPhase
  readonly phase: readonly WrittenPhase[]
  readonly each: number
  readonly duration: number
  readonly count: number
  readonly arrivals: "even" | "poisson"
  readonly "when-busy": "queue" | "drop"
  readonly "queue-limit": number
  readonly "max-rate": number
  readonly message: MessagePlan
  readonly hex: MessagePlan
  readonly file: MessagePlan
  readonly size: MessagePlan
  readonly sequence: { readonly kind: "sequence"; readonly entries: readonly WrittenEntry[] }
  readonly framing: Framing
  readonly expect: Expectation
  readonly method: string
  readonly header: readonly (readonly [name: string, value: string])[]
  /** Base64. */
  readonly body: string
  readonly "read-rate": number
  readonly "write-rate": number
  readonly "pause-before": number
  readonly think: number
  readonly "pause-after": number
  readonly burst: { readonly messages: number; readonly everyMs: number }
  readonly lifetime: number
  readonly "no-keep-alive": true
  readonly drain: number
  readonly timeout: number
  readonly "connect-timeout": number
  readonly "warm-up": number
  readonly "stop-when": readonly string[]
  readonly fail: readonly string[]
  readonly seed: number
  readonly insecure: true
  /** PEM. */
  readonly ca: string
  readonly "server-name": string
  readonly resolve: readonly Resolution[]
  readonly host: string
}

/** `request` when it has the parts of an HTTP request instead of a text. */
export interface WrittenEntry extends MessageEntry {
  readonly request: boolean
}

export type SettingName = keyof SettingValues

export type Settings = { readonly [Name in SettingName]?: Given<SettingValues[Name]> }

export interface WrittenPhase {
  readonly shape: ShapePlan
  /** Undefined when nothing was said. */
  readonly durationMs: number | undefined
  /** A value was written per time: `5000/s`. */
  readonly perTime: boolean
}

/** Connects to `address` instead of a host, or of one port of it. */
export interface Resolution {
  readonly host: string
  readonly port: number | undefined
  readonly address: string
}

/** Of these, what was said closer replaces what was said before, all together. */
const alternatives: readonly (readonly SettingName[])[] = [
  ["rate", "phase"],
  ["message", "hex", "file", "size", "sequence"],
]

/** Flags go before the file. */
export function mergeSettings(file: Settings, flags: Settings): Settings {
  const kept: { -readonly [Name in SettingName]?: Settings[Name] } = { ...file }
  for (const group of alternatives) {
    if (group.some((name) => flags[name] !== undefined)) for (const name of group) delete kept[name]
  }
  // A rate decides the model anew.
  if (flags.rate !== undefined) delete kept.model
  return { ...kept, ...flags } as Settings
}

/** The first of these that was given is an error. */
export function refuse(settings: Settings, names: readonly SettingName[], what: string, mend: string): void {
  const given = names.map((name) => settings[name]).find((setting) => setting !== undefined)
  if (given !== undefined) throw new RdvError("usage", `${given.from} ${what}`, { mend })
}
