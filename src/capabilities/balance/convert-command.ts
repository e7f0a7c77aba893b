/** `rdv balance convert`: the same settings in another form. */

import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import type { JsonObject } from "../../base/json.ts"
import { readDocumentFile } from "../../config/document.ts"
import { readSettings } from "./config/read-settings.ts"
import { settingsDocument, simpleForm, writeSettings } from "./config/write-settings.ts"

export const balanceConvertCommand: Command = {
  name: "balance convert",
  summary: "Writes a balancer's file in another form.",
  usage: "FILE [flags]",
  words: [1, 1],
  flags: {
    to: {
      kind: "text",
      value: "FORM",
      summary: "yaml, json, or simple (Apps, Ports and Targets alone)",
      default: "yaml",
    },
    all: { kind: "switch", summary: "Writes every default, too" },
    ...commonFlags,
  },
  notes: [
    "What the simple form cannot say is told on standard error. Comments are not kept; paths become absolute.",
    "With --json it writes one line with the settings and what is lost.",
  ],
  examples: [
    ["rdv balance convert config.json > balance.yaml", "to begin with everything beyond ports and targets"],
    ["rdv balance convert balance.yaml --to simple", "for a program that reads nothing else"],
  ],
  run,
}

function run({ words, flags, output }: CommandCall): Promise<number> {
  const settings = readSettings(readDocumentFile(words[0] as string))
  const form = flags.choice("to", ["yaml", "json", "simple"])
  const options = { all: flags.on("all") }
  if (form === "simple") {
    const { json, losses } = simpleForm(settings)
    output.line(json.trimEnd())
    output.record({ settings: JSON.parse(json) as JsonObject, losses })
    for (const loss of losses) output.warn(`not in the simple form: ${loss}`)
    return Promise.resolve(exitCode.ok)
  }
  const document = settingsDocument(settings, options)
  output.line(form === "json" ? JSON.stringify(document, undefined, 2) : writeSettings(settings, options).trimEnd())
  output.record({ settings: document as JsonObject, losses: [] })
  return Promise.resolve(exitCode.ok)
}
