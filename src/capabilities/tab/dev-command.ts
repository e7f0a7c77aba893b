/** `rdv tab dev`: an application on this machine while somebody writes it. */

import { join } from "node:path"
import { counted } from "../../base/counted.ts"
import type { RdvError } from "../../base/error.ts"
import { commonFlags, dataFlag, foldersOf, logFlags, logOf } from "../../cli/common-flags.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { startLocalRelay } from "../../cli/local-relay.ts"
import { ownUrl } from "../../cli/own-url.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { size } from "../../cli/size.ts"
import { problemsOf } from "../../config/problems.ts"
import { checkName } from "../../relay/names.ts"
import { startTabRelay } from "../../start-tab-relay.ts"
import { appFile } from "./build/app-bundler.ts"
import type { BuildPlace } from "./build/build-folder.ts"
import { DevBuild } from "./build/dev-build.ts"
import { DevSite } from "./build/dev-site.ts"
import { nameOfApp } from "./node/tab-folder.ts"

export const tabDevCommand: Command = {
  name: "tab dev",
  summary: "Serves an application on this machine while you write it: pages follow each change.",
  usage: "APP [flags]",
  words: [1, 1],
  flags: {
    name: {
      kind: "text",
      value: "NAME",
      summary: "Its address becomes app.NAME.localhost; default: the file's or folder's name",
    },
    port: {
      kind: "text",
      value: "PORT",
      summary: "Of the relay in this process; default: the first free one from 8080 on",
    },
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "What is wrong is shown here and in the page; the last good build goes on meanwhile. Its server runs in the page's tab,",
    "with its data in the browser. In the tab it can go public at the relay in this process, for this machine.",
  ],
  examples: [["rdv tab dev app.ts", "open the address that it prints, and edit app.ts"]],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output, words, stopping } = call
  const port = flags.whole("port", 1, 65_535)
  const file = appFile(words[0] as string)
  const name = checkName(flags.text("name") ?? nameOfApp(file))
  const at = foldersOf(call)
  const log = logOf(call, "error")
  const listen = port === undefined ? [] : [`127.0.0.1:${port}`]
  const { running } = await startLocalRelay({ folders: at, listen, http: true, log })
  let dev: DevBuild | undefined
  let quiet: (() => Promise<void>) | undefined
  let site: DevSite | undefined
  try {
    const url = ownUrl(running.addresses)
    await startTabRelay(running, {
      url,
      domain: "localhost",
      folder: join(at.data, "local-apps"),
      open: "local",
      publishers: "nobody",
    })
    const relay = url.replace(/^http/, "ws")
    const place: BuildPlace = { app: null, relay, domain: "localhost" }
    const served = (site = new DevSite({ relay }))
    running.relay.serveHost(`app.${name}`, "tab/dev", (head) => served.open(head))
    const address = `${running.relay.urlOf(`app.${name}`)}/`
    output.record({ event: "serving", url: address, pid: process.pid })
    output.line(`app       ${output.paint("green", address)}`)
    dev = await DevBuild.start({
      file,
      place,
      onBuild: (build, ms) => {
        served.show(build)
        const { version, appBytes } = build
        output.record({ event: "built", version, appBytes, ms: Math.round(ms) })
        output.line(`built     in ${Math.round(ms)} ms, ${size(appBytes)}`)
      },
      onTrouble: (error) => served.fail(tellTrouble(call, error)),
    })
    quiet = await tellStatus(call.env, { command: `rdv tab dev ${words[0]}`, relay: running }, log)
    await untilStopped(stopping)
    return exitCode.ok
  } finally {
    await dev?.close()
    site?.close()
    await running.stop(0)
    await quiet?.()
  }
}

/** The same lines that the page shows. */
function tellTrouble({ output }: CommandCall, error: RdvError): string[] {
  const all = problemsOf(error)
  const lines = all
    .slice(0, mostProblems)
    .map(({ message, mend }) => (mend === undefined ? message : `${message}: ${mend}`))
  if (all.length > mostProblems) lines.push(`and ${counted(all.length - mostProblems, "more problem")}`)
  output.record({ event: "trouble", problems: lines })
  for (const line of lines) output.fail(line)
  return lines
}

const mostProblems = 20
