/** `rdv chan select`: exactly one of several sends and receives. */

import { RdvError } from "../../base/error.ts"
import { concat } from "../../base/bytes.ts"
import { utf8Encode } from "../../base/text.ts"
import { serverFlags, withChannels } from "../../cli/channel-client.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import type { Case, Channels, SelectOptions } from "../../channels.ts"
import { contentOf } from "./terminal/content.ts"
import { writeOut } from "./terminal/write-out.ts"

export const chanSelectCommand: Command = {
  name: "chan select",
  summary: "Does one of several sends and receives: the first one that can happen.",
  usage: "CASE… [flags]",
  words: [1, 256],
  flags: {
    timeout: { kind: "text", value: "TIME", summary: "Not longer than this; then exit code 4" },
    default: { kind: "switch", summary: "Only what can happen at once; else it says default" },
    ...serverFlags,
    ...commonFlags,
  },
  notes: [
    "A CASE is PATH? to receive, or PATH!MESSAGE to send. Of several that can happen one is chosen at random. It prints the",
    "case, and behind a TAB the message that was received.",
  ],
  examples: [
    ["rdv chan select '/jobs?' '/stop?'", "whatever comes first"],
    ["rdv chan select '/a?' '/b!hello' --timeout 5s", "receive from /a or send to /b"],
  ],
  run: (call) => withChannels(call, (server) => select(call, server)),
}

async function select({ words, flags, output, stopping }: CommandCall, server: Channels): Promise<number> {
  const cases = words.map((word) => readCase(word, server))
  const timeoutMs = flags.durationMs("timeout", 1)
  const isDefault = flags.on("default")
  if (isDefault && timeoutMs !== undefined) {
    throw new RdvError("usage", "--default and --timeout exclude each other", { mend: "leave one out" })
  }
  // Both outcomes are possible as far as the type can tell; which of them, the flags say.
  const options = {
    ack: true,
    signal: stopping,
    default: isDefault,
    ...(timeoutMs !== undefined && { timeoutMs }),
  } as SelectOptions & { readonly default: true; readonly timeoutMs: number }
  const selected = await server.select(cases, options).catch((error: unknown) => {
    if (stopping.aborted) return undefined
    throw error
  })
  if (selected === undefined) return exitCode.interrupted
  if (selected.kind === "timeout" || selected.kind === "default") {
    output.record({ kind: selected.kind })
    output.line(selected.kind)
    return selected.kind === "default" ? exitCode.ok : exitCode.nobody
  }
  const path = selected.channel.path
  const record = { kind: selected.kind, index: selected.index, channel: path }
  if (selected.kind !== "received") {
    output.record(record)
    output.line(selected.kind === "sent" ? `${path}!` : `${path}? closed`)
    return exitCode.ok
  }
  const { message } = selected
  try {
    output.record({ ...record, ...contentOf(message) })
    if (!output.json) await writeOut(concat([utf8Encode(`${path}?\t`), message.bytes, utf8Encode("\n")]))
  } catch (error) {
    message.fail("its receiver could not write it out")
    throw error
  }
  message.done()
  return exitCode.ok
}

function readCase(text: string, server: Channels): Case {
  const match = /^(\/[^?!]+)(?:(\?)$|!([\s\S]*)$)/.exec(text)
  if (match === null) {
    throw new RdvError("usage", `${JSON.stringify(text)} is no case`, { mend: "write /path? or /path!message" })
  }
  const channel = server.channel(match[1] as string)
  return match[2] === undefined ? { send: channel, message: match[3] as string } : { receive: channel }
}
