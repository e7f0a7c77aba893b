/** `rdv tab run`: the server of an application in Node, the very same that runs in a tab. */

import { RdvError } from "../../base/error.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import {
  commonFlags,
  dialOf,
  drainFlag,
  logFlags,
  logLevelOf,
  logOf,
  relayAddress,
  relayFlags,
  tokenOf,
} from "../../cli/common-flags.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { domainFlag, domainOf } from "../../cli/tab-relay.ts"
import { UplinkLines } from "../../cli/uplink-lines.ts"
import { createLog } from "../../observe/log.ts"
import { checkName } from "../../relay/names.ts"
import { startTab } from "../../start-tab.ts"
import type { PublicWish, RunningTab } from "../../start-tab.ts"
import { folders } from "../../store/paths.ts"
import { parseAddress, printAddress } from "../../transport/address.ts"
import type { TabApp } from "./app/app.ts"
import type { AppLog } from "./app/env.ts"
import { AppBundler, appFile } from "./build/app-bundler.ts"
import type { SqliteEngine } from "./data/engine.ts"
import { identityFromFile } from "./node/identity-file.ts"
import { loadApp } from "./node/load-app.ts"
import { keptKeysIn } from "./node/peer-keys-file.ts"
import { openNodeEngine } from "./node/sqlite-engine.ts"
import { tabFolder } from "./node/tab-folder.ts"
import type { TabFolder } from "./node/tab-folder.ts"

export const tabRunCommand: Command = {
  name: "tab run",
  summary: "Runs the server of an application here, as it runs in a tab.",
  usage: "APP [flags]",
  words: [1, 1],
  flags: {
    port: {
      kind: "text",
      value: "PORT",
      summary: "Where it answers on this machine; default: the first free one from 8080 on",
    },
    data: {
      kind: "text",
      value: "DIR",
      summary: "Keeps its database and its key there; default: a folder for this application below the user's data",
    },
    name: { kind: "text", value: "NAME", summary: "Makes it public at the relay, as NAME below its domain" },
    app: {
      kind: "text",
      value: "NAME",
      summary: "The published application that it belongs to; without it the relay must be open",
    },
    ...relayFlags,
    ...domainFlag,
    ...drainFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "Its database is SQLite: what was answered is on disk. A database has one server; a second one is refused.",
    "Programs and browsers of this machine are its own user. Pages of other sites, and what comes through proxies, are not.",
    "With --name it shows the relay a proof of its key, and the name is the key's. With a token the name",
    "is the token's, and the server calls no others.",
  ],
  examples: [
    ["rdv tab run app.ts", "on http://localhost:8080"],
    ["rdv tab run app.ts --name alice --app chat --relay https://relay.example", "and at https://alice.relay.example"],
  ],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { flags, output, words } = call
  const port = flags.whole("port", 1, 65_535)
  const drainMs = flags.durationMs("drain") as number
  const file = appFile(words[0] as string)
  const folder = tabFolder(flags.text("data"), folders({ env: call.env }).data, file)
  const over = Promise.withResolvers<never>()
  over.promise.catch(() => undefined)
  const wish = publicWish(call, (error) => over.reject(error))
  const log = logOf(call, "error")
  const appLog = appLogOf(call)
  // First of all: it is also the lock on the folder.
  const engine = openNodeEngine(folder.database)
  const { app, pair } = await prepare(engine, file, folder)
  const tab = await startTab({ engine, app, pair, port, keptKeys: keptKeysIn(folder.peers), public: wish, log, appLog })
  const quiet = await tellStatus(
    call.env,
    { command: `rdv tab run ${words[0]}`, agent: tab.agent, tab: { status: () => ({ app: file, ...tab.status() }) } },
    log,
  )
  tell(call, tab, folder, pair.key)
  try {
    await Promise.race([untilStopped(call.stopping), over.promise])
    output.record({ event: "draining" })
    if (output.interactive)
      output.note(`rdv: finishing what runs, up to ${flags.text("drain")}; Ctrl+C again quits at once`)
    return exitCode.ok
  } finally {
    await tab.stop(call.stopping.aborted ? drainMs : 0)
    await quiet()
  }
}

/** The engine is closed when anything fails. */
async function prepare(
  engine: SqliteEngine,
  file: string,
  folder: TabFolder,
): Promise<{ app: TabApp; pair: Awaited<ReturnType<typeof identityFromFile>> }> {
  try {
    const pair = await identityFromFile(folder.key)
    const bundler = await AppBundler.open({ file, platform: "node", folder: folder.program })
    try {
      return { app: await loadApp(await bundler.bundle(), folder.program, bundler.file), pair }
    } finally {
      await bundler.close()
    }
  } catch (error) {
    engine.close()
    throw error
  }
}

/** Undefined: it is private. Throws `usage`. */
function publicWish(call: CommandCall, fail: (error: Error) => void): PublicWish | undefined {
  const { flags, output, stopping } = call
  const name = flags.text("name")
  const relay = flags.text("relay")
  if (name === undefined) {
    const lost = ["relay", "token", "token-file", "app", "domain", "ca", "pin"].find((each) =>
      flags.onCommandLine(each),
    )
    if (lost === undefined) return undefined
    throw new RdvError("usage", `--${lost} is for a server that is public`, { mend: "add --name NAME" })
  }
  if (relay === undefined) {
    throw new RdvError("usage", "--name is a name at a relay", { mend: "add --relay ADDRESS" })
  }
  const address = printAddress(parseAddress(relayAddress(relay), "tcp"))
  const app = flags.text("app")
  const domain = domainOf(flags, relay)
  const lines = new UplinkLines(output, address)
  return {
    relay: address,
    token: tokenOf(call),
    tokenInClear: flags.on("token-in-clear"),
    dial: dialOf(call),
    name: checkName(name),
    app: app === undefined ? undefined : checkName(app),
    domain,
    onEvent: (event) => {
      if (stopping.aborted) return
      if (event.kind === "failed") fail(explained(event.error, domain))
      else lines.hear(event)
    },
    onExposed: ({ url }) => {
      output.record({ event: "public", url, name })
      output.line(`public    ${output.paint("green", url)}`)
    },
    onDelayed: (error) => output.warn(`${error.message}; the relay is asked again`),
    onRefused: (error) => fail(error),
  }
}

/** A proof is for a domain, which the relay's address may not tell. */
function explained(error: RdvError, domain: string): RdvError {
  if (error.code !== "unauthorized" || error.mend !== undefined || !/proof's signature/.test(error.message))
    return error
  return new RdvError(error.code, error.message, {
    origin: error.origin,
    mend: `it was made for names below ${domain}; tell others with --domain`,
  })
}

function tell({ output }: CommandCall, tab: RunningTab, folder: TabFolder, key: string): void {
  const { url, running } = tab
  output.record({ event: "listening", url, data: folder.path, key, epoch: running.epoch, pid: process.pid })
  output.line(`server    ${output.paint("green", url)}`)
  output.line(`data      ${folder.path}`)
}

/** The application's lines are for whoever runs it, so they are shown from `info` on. */
function appLogOf({ flags }: CommandCall): AppLog {
  const log = createLog({
    level: logLevelOf({ flags }, "info"),
    format: flags.choice("log-format", ["text", "json"]) ?? "text",
  })
  const write =
    (level: "debug" | "info" | "warn" | "error") => (text: string, fields?: { readonly [key: string]: unknown }) => {
      log[level](text, fields as Parameters<typeof log.info>[1])
    }
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") }
}
