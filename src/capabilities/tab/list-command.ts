/** `rdv tab ls`: servers of applications on this machine, and what its relays have published. */

import { commonFlags, dataFlag, foldersOf } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { appTable, localServers, publishedApps, serverTable } from "../../cli/tab-lines.ts"
import { readStatuses } from "../../observe/status-socket.ts"

export const tabListCommand: Command = {
  name: "tab ls",
  summary: "Lists servers of applications on this machine, and what its relays have published.",
  usage: "[flags]",
  words: [0, 0],
  flags: { ...dataFlag, ...commonFlags },
  notes: ["The exit code is 1 when there is nothing."],
  examples: [["rdv tab ls", "rdv tab run and rdv tab dev of this user, and applications at rdv relay"]],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { output } = call
  const found = await readStatuses(foldersOf(call).state)
  const servers = localServers(found)
  const apps = publishedApps(found)
  output.record({ servers, apps })
  if (servers.length > 0) for (const line of serverTable(servers)) output.line(line)
  if (servers.length > 0 && apps.length > 0) output.line()
  if (apps.length > 0) for (const line of appTable(apps)) output.line(line)
  if (servers.length + apps.length > 0) return exitCode.ok
  if (!output.json) output.note("rdv: no server of this user runs here, and nothing is published")
  return exitCode.failure
}
