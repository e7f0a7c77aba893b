/** `rdv get`: what somebody shares, by its code or link. */

import { asRdvError, RdvError } from "../../base/error.ts"
import { commonFlags, dataFlag, foldersOf, logFlags, logOf } from "../../cli/common-flags.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { tellStatus } from "../../cli/process-status.ts"
import { codeWord } from "../../cli/code-word.ts"
import { GetDesk } from "../../cli/get-desk.ts"
import { codeOf, codeWishes, relayOf, shareExitCode } from "../../cli/share-code.ts"
import {
  connectFlags,
  getHookFlags,
  getHooksOf,
  memberFlags,
  memberWishes,
  passwordFlags,
  passwordOf,
} from "../../cli/share-flags.ts"
import { UplinkLines } from "../../cli/uplink-lines.ts"
import { get } from "../../share.ts"
import { isRefusal } from "../../share-access.ts"
import type { Get, GetOptions } from "../../share.ts"

export const getCommand: Command = {
  name: "get",
  summary: "Receives what somebody shares, by its code or link.",
  usage: "CODE|LINK [flags]",
  words: [1, 1],
  flags: {
    output: {
      kind: "text",
      value: "PATH",
      summary: "A folder to put it in, or the name that it shall have; without it this folder",
    },
    o: { kind: "text", value: "PATH", summary: "The same" },
    overwrite: { kind: "switch", summary: "Replaces what has the name and differs: a folder with all that is in it" },
    follow: { kind: "switch", summary: "Goes on with each new version that the sender shares" },
    watch: { kind: "switch", summary: "The same" },
    timeout: {
      kind: "text",
      value: "TIME",
      summary: "Waits so long for the share, and for anything to come; then exit code 4",
    },
    ...passwordFlags,
    ...memberFlags,
    path: { kind: "text", value: "auto|relay", summary: "relay: nothing goes past it", default: "auto" },
    serve: {
      kind: "text",
      value: "TIME",
      summary: "Stays at most so long when everything is here, while others need it, or `forever`",
      default: "10s",
    },
    "no-serve": { kind: "switch", summary: "Leaves at once when everything is here, whatever others still fetch" },
    verify: { kind: "switch", summary: "Reads everything again at the end, from the disk" },
    "no-sync": {
      kind: "switch",
      summary: "Does not wait for the disk at the end: faster, and a power cut may lose what was received",
    },
    label: { kind: "text", value: "NAME", summary: "What others see it as; without it the name of this machine" },
    ...getHookFlags,
    ...connectFlags,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "No token is needed: the code is enough, and one of the environment is not shown to the relay of a link.",
    "A link holds the relay's address; a code alone uses --relay, RDV_RELAY or 127.0.0.1:8080. Quote a link in a shell.",
    "The code may come on standard input, where no other user of the machine sees it: rdv get -",
    "Each part is checked before it is kept or passed on. What was there of an interrupted run is not fetched again, and",
    "files appear under their names when they are whole.",
    "Exit codes: 0 done, 1 failure, 2 usage, 3 no relay, 4 nobody shares it (yet) or --timeout, 5 refused, expired or over,",
    "130 interrupted: the same command goes on.",
  ],
  examples: [
    ["rdv get 482713-lusab-babad-gutih-tugad-bivuj", "into this folder"],
    ["rdv get 'https://relay.example.com/share/482713#lusab-babad-gutih-tugad-bivuj' -o /srv/images", "by its link"],
    ["rdv get CODE --follow --on-done ./restart.sh", "each new version, and what to do with it"],
  ],
  run,
}

type GetWish = Exclude<keyof GetOptions, "relay" | "code" | "password" | "onEvent" | "onLink" | "log">

function wishesOf(call: CommandCall): Pick<GetOptions, GetWish> {
  const { flags } = call
  if (flags.has("output") && flags.has("o")) {
    throw new RdvError("usage", "--output and -o are the same", { mend: "leave one out" })
  }
  const output = flags.text("output") ?? flags.text("o") ?? "."
  if (output === "-") {
    throw new RdvError("usage", "Parts come in any order, so they cannot go to standard output", {
      mend: "name a file with -o, and read it afterwards",
    })
  }
  if (flags.has("serve") && flags.on("no-serve")) {
    throw new RdvError("usage", "--serve and --no-serve exclude each other", { mend: "leave one out" })
  }
  const label = flags.text("label")
  if (label !== undefined && label.length > 64) {
    throw new RdvError("usage", "--label is longer than 64 characters", { mend: "shorten it" })
  }
  const timeoutMs = flags.durationMs("timeout", 1)
  const relayOnly = flags.choice("path", ["auto", "relay"]) === "relay"
  const wishes = memberWishes(call)
  return {
    ...wishes,
    ...(relayOnly && { direct: false, multicast: "off" as const }),
    output,
    ...(label !== undefined && { label }),
    lockFolder: foldersOf(call).state,
    ...(flags.on("overwrite") && { overwrite: true }),
    ...((flags.on("follow") || flags.on("watch")) && { follow: true }),
    ...(flags.on("verify") && { verify: true }),
    ...(flags.on("no-sync") && { sync: false }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    serveMs: serveMs(call),
  }
}

function serveMs({ flags }: CommandCall): number {
  if (flags.on("no-serve")) return 0
  return flags.text("serve") === "forever" ? Infinity : (flags.durationMs("serve") as number)
}

async function run(call: CommandCall): Promise<number> {
  const { output, stopping } = call
  const place = codeOf(await codeWord(call.words[0] as string, process.stdin))
  const wishes = wishesOf(call)
  const log = logOf(call, "error")
  const relay = codeWishes(call, relayOf(call, place))
  const password = await passwordOf(call, { twice: false })
  const lines = new UplinkLines(output, relay.relay)
  let running: Get | undefined
  let quiet: (() => Promise<void>) | undefined
  const desk = new GetDesk({
    output,
    swarm: place.code.swarm,
    hooks: getHooksOf(call),
    read: () => running?.figures(),
  })
  desk.start()
  try {
    running = await get({
      ...wishes,
      ...relay,
      code: place.code,
      log,
      ...(password !== undefined && { password }),
      onEvent: (event) => desk.hear(event),
      onLink: (event) => {
        if (!stopping.aborted && !isRefusal(event)) lines.hear(event)
      },
    })
    quiet = await tellStatus(call.env, { command: "rdv get", agent: running.agent }, log)
    const over = await Promise.race([untilStopped(stopping).then(() => "stopped" as const), running.ended])
    if (over !== "stopped") {
      if (wishes.follow === true) desk.note("the share is over: no version follows")
      return exitCode.ok
    }
    const isDone = running.isDone
    output.record({ event: "share.leaving", why: "stopped" })
    await running.stop()
    await desk.end()
    if (isDone) return exitCode.ok
    if (!output.json) output.note("rdv: stopped; the same command goes on from here")
    return exitCode.interrupted
  } catch (thrown) {
    desk.failed(asRdvError(thrown))
    await desk.end()
    return shareExitCode(thrown, output)
  } finally {
    await running?.stop()
    await desk.end()
    await quiet?.()
  }
}
