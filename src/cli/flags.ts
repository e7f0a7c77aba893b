/**
 * Flags as a table, and their values as commands read them. A value comes from the command line, else from the
 * environment, else it is the flag's default; whatever is wrong with it is said with the name that the user wrote.
 */

import { RdvError } from "../base/error.ts"
import type { Environment } from "./command.ts"

export interface Flag {
  /** A switch has no value; a list may be given several times, and holds commas in the environment. */
  readonly kind: "switch" | "text" | "list"
  /** Placeholder of the value in help: `ADDRESS`. */
  readonly value?: string
  readonly summary: string
  /** The environment variable that stands in for it. */
  readonly env?: string
  readonly default?: string
}

/** Name without dashes → flag. */
export type Flags = { readonly [name: string]: Flag }

/** As it is written: one dash before a single letter. */
export function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`
}

/** What stood on the command line. */
export type GivenFlags = ReadonlyMap<string, readonly string[]>

export class FlagReader {
  readonly #table: Flags
  readonly #given: GivenFlags
  readonly #env: Environment

  constructor(table: Flags, given: GivenFlags, env: Environment) {
    this.#table = table
    this.#given = given
    this.#env = env
  }

  /** Whether the user said anything, by flag or environment. */
  has(name: string): boolean {
    return this.#read(name) !== undefined
  }

  /** Whether it stood on the command line, where other users may see it. */
  onCommandLine(name: string): boolean {
    return this.#given.has(name)
  }

  on(name: string): boolean {
    const found = this.#read(name)
    if (found === undefined) return false
    const value = found.values.at(-1) as string
    if (/^(1|true|yes|on)$/i.test(value)) return true
    if (/^(0|false|no|off)$/i.test(value)) return false
    throw wrong(found.from, value, "is neither true nor false", "leave the value out")
  }

  text(name: string): string | undefined {
    const found = this.#read(name)
    if (found === undefined) return this.#flag(name).default
    const value = found.values.at(-1) as string
    if (value === "") throw new RdvError("usage", `${found.from} is empty`, { mend: "give a value, or leave it out" })
    return value
  }

  /** Each value as it is given: a comma in it is part of it. */
  values(name: string): readonly string[] {
    return this.#read(name)?.values ?? []
  }

  list(name: string): readonly string[] {
    const found = this.#read(name)
    const values = found?.values ?? [this.#flag(name).default ?? ""]
    return values
      .flatMap((value) => value.split(","))
      .map((value) => value.trim())
      .filter((value) => value !== "")
  }

  /** One of the given words. */
  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.text(name)
    if (value === undefined || choices.includes(value as Choice)) return value as Choice | undefined
    throw wrong(this.#from(name), value, "is not known", `use ${choices.join(", ")}`)
  }

  /** A duration with its unit, in ms. */
  durationMs(name: string, leastMs = 0): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const ms = readDuration(value)
    if (ms === undefined) throw wrong(this.#from(name), value, "is not a duration", "write 500ms, 10s, 5m, 2h or 30d")
    if (ms < leastMs) throw wrong(this.#from(name), value, "is too short", `give at least ${leastMs}ms`)
    return ms
  }

  whole(name: string, from: number, to: number): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN
    if (number >= from && number <= to) return number
    throw wrong(this.#from(name), value, `is not a whole number from ${from} to ${to}`, "check it")
  }

  #read(name: string): { readonly values: readonly string[]; readonly from: string } | undefined {
    const flag = this.#flag(name)
    const given = this.#given.get(name)
    if (given !== undefined) return { values: given, from: dashed(name) }
    const fromEnv = flag.env === undefined ? undefined : this.#env[flag.env]
    // An empty variable is how shells say that there is none.
    if (fromEnv === undefined || fromEnv === "") return undefined
    return { values: [fromEnv], from: flag.env as string }
  }

  #from(name: string): string {
    return this.#read(name)?.from ?? dashed(name)
  }

  #flag(name: string): Flag {
    const flag = this.#table[name]
    if (flag === undefined)
      throw new RdvError("internal", `The command reads ${dashed(name)}, which it does not declare`)
    return flag
  }
}

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90s`, `1.5h`; undefined for anything else. Bounded to ten years. */
function readDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text)
  if (match === null) return undefined
  const ms = Number(match[1]) * (unitMs[match[2] as string] as number)
  return ms <= 3_653 * 86_400_000 ? Math.round(ms) : undefined
}

function wrong(from: string, value: string, what: string, mend: string): RdvError {
  return new RdvError("usage", `${from} ${JSON.stringify(value)} ${what}`, { mend })
}
