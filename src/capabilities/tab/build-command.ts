/** `rdv tab build`: an application as a folder that any static host can serve. */

import { counted } from "../../base/counted.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { size } from "../../cli/size.ts"
import { buildPlace, domainFlag } from "../../cli/tab-relay.ts"
import { buildApp } from "./build/build-app.ts"
import { writeBuild } from "./build/build-folder.ts"

export const tabBuildCommand: Command = {
  name: "tab build",
  summary: "Packs an application into a folder: its server runs in each visitor's tab.",
  usage: "APP [flags]",
  words: [1, 1],
  flags: {
    o: {
      kind: "text",
      value: "DIR",
      summary: "The folder; what an earlier build has left there goes",
      default: "build",
    },
    relay: { kind: "text", value: "ADDRESS", summary: "Where its servers may go public: https://relay.example" },
    name: {
      kind: "text",
      value: "NAME",
      summary: "As what it is published there; without it the relay must be open to all",
    },
    ...domainFlag,
    ...commonFlags,
  },
  notes: [
    "APP is a TypeScript or JavaScript file: export default { fetch(request, env) { … } }. It may import packages, and",
    "texts and pictures (.html, .css, .sql, .svg, .png …); what only Node has (node:fs …) no browser has.",
    "The folder is served over https, or on localhost. A relay serves it, too: rdv tab publish.",
  ],
  examples: [
    ["rdv tab build app.ts", "into ./build"],
    ["rdv tab build app.ts -o site --relay https://relay.example", "with a place where its servers may go public"],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output, words } = call
  const folder = flags.text("o") as string
  const built = await buildApp(words[0] as string, buildPlace(call))
  writeBuild(folder, built)
  const { files, version, file, appBytes } = built
  const bytes = [...files.values()].reduce((sum, each) => sum + each.length, 0)
  output.record({ event: "built", app: file, folder, version, files: files.size, bytes, appBytes })
  output.line(
    `${file} is built into ${folder}: ${counted(files.size, "file")}, ${size(bytes)} (its own part ${size(appBytes)})`,
  )
  return exitCode.ok
}
