/** `rdv tab publish` and `rdv tab unpublish`: an application at a relay, as a site of its own. */

import { existsSync, statSync } from "node:fs"
import { counted } from "../../base/counted.ts"
import { commonFlags, dataFlag, logFlags } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { connectFlags } from "../../cli/share-flags.ts"
import { size } from "../../cli/size.ts"
import { appName, atRelay } from "../../cli/tab-relay.ts"
import { buildApp } from "./build/build-app.ts"
import { readBuild } from "./build/build-folder.ts"
import type { BuildFiles } from "./build/build-folder.ts"
import { publishBuild, unpublish } from "./build/publish-build.ts"

export const tabPublishCommand: Command = {
  name: "tab publish",
  summary: "Builds an application and serves it at a relay, on a host name of its own.",
  usage: "APP [flags]",
  words: [1, 1],
  flags: {
    name: { kind: "text", value: "NAME", summary: "Its address becomes app.NAME below the relay's domain" },
    ...connectFlags,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "APP is the application's file, or a folder that rdv tab build has made. An earlier version is replaced when all of",
    "the new one has arrived; open pages go over to it by themselves. The name is the token's from then on.",
  ],
  examples: [
    [
      "rdv tab publish app.ts --name chat --relay https://relay.example --token-file ~/.rdv.token",
      "at app.chat.relay.example",
    ],
    [
      "rdv tab publish app.ts --name chat --relay localhost:8080",
      "at a relay of this machine that is open (rdv relay --open)",
    ],
  ],
  run: runPublish,
}

export const tabUnpublishCommand: Command = {
  name: "tab unpublish",
  summary: "Takes a published application back.",
  usage: "NAME [flags]",
  words: [1, 1],
  flags: { ...connectFlags, ...dataFlag, ...logFlags, ...commonFlags },
  notes: ["Tabs that have it go on: its files are kept in their browsers. Their servers are not let in any more."],
  examples: [
    ["rdv tab unpublish chat --relay https://relay.example", "the name stays yours: rdv name release gives it up"],
  ],
  run: runUnpublish,
}

async function runPublish(call: CommandCall): Promise<number> {
  const { flags, output, words } = call
  const app = appName(flags.text("name"))
  const files = await filesOf(words[0] as string, app)
  const published = await atRelay(call, (open) => publishBuild(open, app, files))
  output.record({ event: "published", ...published })
  output.line(`${output.paint("green", published.url)}  ${counted(published.files, "file")}, ${size(published.bytes)}`)
  return exitCode.ok
}

async function runUnpublish(call: CommandCall): Promise<number> {
  const app = appName(call.words[0])
  await atRelay(call, (open) => unpublish(open, app))
  call.output.record({ event: "unpublished", app })
  call.output.line(`${app} is not published any more`)
  return exitCode.ok
}

async function filesOf(path: string, app: string): Promise<BuildFiles> {
  const built = existsSync(path) && statSync(path).isDirectory() ? readBuild(path) : undefined
  return built ?? (await buildApp(path, { app, relay: null, domain: null })).files
}
