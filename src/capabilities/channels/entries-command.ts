/** `rdv chan ls`, `stat`, `peek`, `new`, `set`, `close` and `rm`: what is there, and what becomes of it. */

import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { serverFlags, withChannels } from "../../cli/channel-client.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import type { ChannelSettings, Channels, Entry } from "../../channels.ts"
import { readSetting, settingKeys } from "./files/channel-ctl.ts"
import { contentOf } from "./terminal/content.ts"
import { factLines, listTable } from "./terminal/tables.ts"
import { writeOut } from "./terminal/write-out.ts"

const settingsNote = [`Settings: ${settingKeys.slice(0, 7).join(", ")},`, `${settingKeys.slice(7).join(", ")}.`]

export const chanListCommand: Command = {
  name: "chan ls",
  summary: "Lists channels and folders, and who waits at them.",
  usage: "[PATH] [flags]",
  words: [0, 1],
  flags: { deep: { kind: "switch", summary: "Also what is in folders below" }, ...serverFlags, ...commonFlags },
  examples: [["rdv chan ls", "HELD: messages of how many; SEND and RECV: who waits"]],
  run: (call) => withChannels(call, (server) => list(call, server)),
}

export const chanStatCommand: Command = {
  name: "chan stat",
  summary: "Shows everything about one channel: settings, counts, rates.",
  usage: "PATH [flags]",
  words: [1, 1],
  flags: { ...serverFlags, ...commonFlags },
  examples: [["rdv chan stat /jobs", "also what its ctl and stat files show"]],
  run: (call) =>
    withChannels(call, async (server) => {
      const entry = await server.stat(call.words[0] as string)
      call.output.record(entry as unknown as JsonObject)
      for (const line of factLines(entry)) call.output.line(line)
      return exitCode.ok
    }),
}

export const chanPeekCommand: Command = {
  name: "chan peek",
  summary: "Shows the message that a receiver would get next, and leaves it there.",
  usage: "PATH [flags]",
  words: [1, 1],
  flags: { ...serverFlags, ...commonFlags },
  examples: [["rdv chan peek /jobs", "exit code 4 when there is none"]],
  run: (call) => withChannels(call, (server) => peek(call, server)),
}

export const chanNewCommand: Command = {
  name: "chan new",
  summary: "Makes a channel; a PATH that ends in / is a folder.",
  usage: "PATH [KEY=VALUE…] [flags]",
  words: [1, 30],
  flags: {
    folders: { kind: "switch", summary: "Makes the folders above as well" },
    ...serverFlags,
    ...commonFlags,
  },
  notes: settingsNote,
  examples: [
    ["rdv chan new /jobs", "a rendezvous: a sender waits for a receiver"],
    ["rdv chan new /jobs size=256 deliver=done attempts=5", "with a buffer, and receivers that say when they are done"],
    ["rdv chan new /team/", "a folder"],
  ],
  run: (call) => withChannels(call, (server) => make(call, server)),
}

export const chanSetCommand: Command = {
  name: "chan set",
  summary: "Changes settings of a channel, at any time, for those who wait as well.",
  usage: "PATH KEY=VALUE… [flags]",
  words: [2, 30],
  flags: { ...serverFlags, ...commonFlags },
  notes: settingsNote,
  examples: [["rdv chan set /jobs size=16 timeout=5s", "a smaller size drops nothing"]],
  run: (call) =>
    withChannels(call, async (server) => {
      const [path, ...texts] = call.words as [string, ...string[]]
      const entry = await server.set(path, settingsOf(texts))
      call.output.record(entry as unknown as JsonObject)
      return exitCode.ok
    }),
}

export const chanCloseCommand: Command = {
  name: "chan close",
  summary: "Closes channels: nobody sends any more, receivers get what is left and then the end.",
  usage: "PATH… [flags]",
  words: [1, 1_000],
  flags: { ...serverFlags, ...commonFlags },
  examples: [["rdv chan close /jobs", "rdv chan recv --follow ends by itself then"]],
  run: (call) => withChannels(call, (server) => each(call, "closed", (path) => server.end(path))),
}

export const chanRemoveCommand: Command = {
  name: "chan rm",
  summary: "Removes channels with what is in them, and empty folders.",
  usage: "PATH… [flags]",
  words: [1, 1_000],
  flags: { ...serverFlags, ...commonFlags },
  examples: [["rdv chan rm /jobs", "whoever waits at it is told so"]],
  run: (call) => withChannels(call, (server) => each(call, "removed", (path) => server.remove(path))),
}

async function list({ words, flags, output }: CommandCall, server: Channels): Promise<number> {
  const entries = await server.list(words[0] ?? "/", { deep: flags.on("deep") })
  for (const entry of entries) output.record(entry as unknown as JsonObject)
  if (entries.length === 0) output.note("rdv: there is no channel yet; make one: rdv chan new /PATH")
  else for (const line of listTable(sorted(entries))) output.line(line)
  return exitCode.ok
}

function sorted(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function peek({ words, output }: CommandCall, server: Channels): Promise<number> {
  const path = words[0] as string
  await using channel = server.channel(path)
  const bytes = await channel.peek()
  if (bytes === undefined) {
    output.record({ channel: path, found: false })
    if (!output.json) output.note(`rdv: nothing waits in ${path}`)
    return exitCode.nobody
  }
  if (output.json) output.record({ channel: path, found: true, ...contentOf({ bytes }) })
  else await writeOut(bytes)
  return exitCode.ok
}

async function make({ words, flags, output }: CommandCall, server: Channels): Promise<number> {
  const [path, ...texts] = words as [string, ...string[]]
  const folders = flags.on("folders")
  if (path.endsWith("/") && path !== "/") {
    if (texts.length > 0) throw new RdvError("usage", "A folder has no settings", { mend: "leave them out" })
    await server.createFolder(path.slice(0, -1), { folders })
  } else await server.create(path, settingsOf(texts), { folders })
  output.record({ made: path })
  return exitCode.ok
}

/** All are tried; the first failure is told at the end. */
async function each(call: CommandCall, what: string, act: (path: string) => Promise<void>): Promise<number> {
  let failure: Error | undefined
  for (const path of call.words) {
    try {
      await act(path)
      call.output.record({ [what]: path })
    } catch (error) {
      if (failure !== undefined && error instanceof RdvError) call.output.fail(error.message)
      failure ??= error as Error
    }
  }
  if (failure !== undefined) throw failure
  return exitCode.ok
}

function settingsOf(texts: readonly string[]): Partial<ChannelSettings> {
  const changes = texts.map((text) => {
    const at = text.indexOf("=")
    if (at > 0) return readSetting(text.slice(0, at), text.slice(at + 1))
    throw new RdvError("usage", `${JSON.stringify(text)} sets nothing`, { mend: "write KEY=VALUE, as size=16" })
  })
  return Object.assign({}, ...changes) as Partial<ChannelSettings>
}
