/** `rdv chan top`: the channels of a server as a table that lives. */

import type { JsonObject } from "../../base/json.ts"
import { serverFlags, withChannels } from "../../cli/channel-client.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { Screen } from "../../cli/top-screen.ts"
import type { ChannelEntry, Channels } from "../../channels.ts"
import { topLines } from "./terminal/tables.ts"

export const chanTopCommand: Command = {
  name: "chan top",
  summary: "Shows the channels of a server as a table that lives, the busiest first.",
  usage: "[flags]",
  words: [0, 0],
  flags: {
    once: { kind: "switch", summary: "Looks once and ends" },
    ...serverFlags,
    ...commonFlags,
  },
  notes: [
    "HELD: messages without a receiver, of how many; SEND, RECV: who waits; WAY: with a receiver that has not proved it yet;",
    "IN/S, OUT/S: messages in the last second; MEAN: OUT/S over about a minute; OLDEST: who has waited longest. q ends it.",
  ],
  examples: [
    ["rdv chan top", "until q"],
    ["rdv chan top --json", "a JSON line with all channels each second"],
  ],
  run: (call) => withChannels(call, (server) => top(call, server)),
}

async function top(call: CommandCall, server: Channels): Promise<number> {
  const { output, flags, stopping } = call
  const quit = new AbortController()
  const ended = AbortSignal.any([stopping, quit.signal])
  let entries: readonly ChannelEntry[] = []
  const live = output.interactive && !flags.on("once")
  const title = () => `rdv chan top  ${entries.length} channels  ${new Date().toLocaleTimeString("en-GB")}`
  const screen = live
    ? new Screen({
        stdin: process.stdin,
        stdout: process.stdout,
        onKey: (key) => {
          // In raw mode the terminal makes no signal of Ctrl+C.
          if (["q", "Q", "\u0003", "\u001b"].includes(key)) quit.abort()
        },
        onResize: () => draw(),
      })
    : undefined
  const draw = () => {
    if (screen === undefined) return
    const { columns, rows } = screen
    const paint = output.paint.bind(output)
    screen.draw(topLines(entries, { title: `${title()}  q ends`, columns, rows, paint }))
  }
  try {
    for await (const snapshot of server.watch({ signal: ended })) {
      entries = snapshot
      if (screen !== undefined) draw()
      else if (output.json) output.record({ channels: entries as unknown as JsonObject[] })
      else for (const line of [...topLines(entries, { title: title(), columns: output.columns }), ""]) output.line(line)
      if (flags.on("once")) break
    }
  } catch (error) {
    if (!ended.aborted) throw error
  } finally {
    screen?.close()
  }
  return exitCode.ok
}
