/** The options of a run as flags. */

import { RdvError } from "../../../base/error.ts"
import { options } from "./options.ts"
import type { OptionReader } from "./options.ts"
import type { Settings } from "./settings.ts"

/** A row of a command's table of flags. */
export interface ScenarioFlag {
  readonly kind: "switch" | "text" | "list"
  readonly value?: string
  readonly summary: string
  readonly default?: string
}

/** What the command line has of them. */
export interface FlagValues {
  has(name: string): boolean
  on(name: string): boolean
  text(name: string): string | undefined
  /** Each value as it is given: a comma in it is part of it. */
  values(name: string): readonly string[]
}

/** For the command's table. */
export const scenarioFlags: { readonly [name: string]: ScenarioFlag } = Object.fromEntries(
  Object.entries(options).map(([name, option]) => {
    const { kind, summary } = option
    if (option.kind === "switch") return [name, { kind, summary }]
    const text = "default" in option && option.default !== undefined ? { default: option.default } : {}
    return [name, { kind, summary, value: option.value, ...text }]
  }),
)

/** Paths are relative to `folder`. Throws `usage` with the flag's name. */
export function readFlags(flags: FlagValues, folder: string): Settings {
  const settings: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(options)) {
    if (!flags.has(name)) continue
    const from = `--${name}`
    const read = (text: string): unknown =>
      readGiven(from, text, (option as { read: OptionReader<unknown> }).read, folder)
    if (option.kind === "switch") {
      if (flags.on(name)) settings[name] = { from, value: true }
    } else if (option.kind === "list") settings[name] = { from, value: flags.values(name).map(read) }
    else settings[name] = { from, value: read(flags.text(name) ?? "") }
  }
  return settings as Settings
}

/** Says the flag's name in front of what is wrong with its value. */
function readGiven(from: string, text: string, reader: OptionReader<unknown>, folder: string): unknown {
  try {
    return reader(text, folder)
  } catch (error) {
    if (!(error instanceof RdvError) || error.code !== "usage") throw error
    throw new RdvError("usage", `${from} ${error.message}`, error.mend === undefined ? {} : { mend: error.mend })
  }
}
