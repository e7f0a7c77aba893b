/** `rdv balance check`: says what is wrong with a file before a balancer runs on it, and what it means. */

import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { printable } from "../../cli/output.ts"
import { readDocumentFile } from "../../config/document.ts"
import { problemsOf } from "../../config/problems.ts"
import { cautions } from "./config/cautions.ts"
import { hostFacts } from "./config/host-facts.ts"
import { readSettings } from "./config/read-settings.ts"
import { withResolutions } from "./config/resolve.ts"
import { settingsSchema } from "./config/schema.ts"
import type { Settings } from "./config/settings.ts"
import { settingsDocument, writeSettings } from "./config/write-settings.ts"

export const balanceCheckCommand: Command = {
  name: "balance check",
  summary: "Says what is wrong with a balancer's file, and what it means.",
  usage: "[FILE] [flags]",
  words: [0, 1],
  flags: {
    schema: { kind: "switch", summary: "Prints the JSON Schema of such files, for editors" },
    all: { kind: "switch", summary: "Prints every default, too" },
    resolve: {
      kind: "list",
      value: "HOST=ADDR",
      summary: "Uses the address instead of what a lookup would say; HOST:PORT=ADDR for one port",
    },
    ...commonFlags,
  },
  notes: [
    "Without FILE it reads config.json. A good file is printed as the balancer understands it; warnings do not count.",
    "Exit codes: 0 it is good, 2 it is not.",
  ],
  examples: [
    ["rdv balance check", "config.json"],
    ["rdv balance check balance.yaml --all", "with every default"],
  ],
  run,
}

function run(call: CommandCall): Promise<number> {
  const { flags, output } = call
  if (flags.on("schema")) {
    output.line(JSON.stringify(settingsSchema(), undefined, 2))
    output.record(settingsSchema())
    return Promise.resolve(exitCode.ok)
  }
  const settings = settingsOf(call)
  if (settings === undefined) return Promise.resolve(exitCode.usage)
  const warnings = cautions(settings, { facts: hostFacts(), wall: Date.now() })
  const options = { all: flags.on("all") }
  output.line(writeSettings(settings, options).trimEnd())
  for (const { level, app, what, mend } of warnings) {
    const text = printable(`${app === undefined ? "" : `${app}: `}${what}: ${mend}`)
    if (level === "note") output.note(`rdv: note: ${text}`)
    else output.warn(text)
  }
  output.record({
    good: true,
    warnings: warnings as unknown as readonly JsonObject[],
    configuration: settingsDocument(settings, options) as JsonObject,
  })
  return Promise.resolve(exitCode.ok)
}

/** Undefined when the file is not good, which was told then. */
function settingsOf({ words, flags, output }: CommandCall): Settings | undefined {
  try {
    return withResolutions(readSettings(readDocumentFile(words[0] ?? "config.json")), flags.values("resolve"))
  } catch (error) {
    if (!(error instanceof RdvError) || error.code !== "usage") throw error
    const problems = problemsOf(error).map(({ message, mend }) => ({ message, ...(mend !== undefined && { mend }) }))
    for (const { message, mend } of problems)
      output.fail(printable(mend === undefined ? message : `${message}: ${mend}`))
    output.record({ good: false, problems })
    return undefined
  }
}
