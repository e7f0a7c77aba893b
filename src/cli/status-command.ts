/** `rdv status`: what the relays, agents and balancers of this user do right now. */

import type { JsonObject } from "../base/json.ts"
import { readStatuses } from "../observe/status-socket.ts"
import type { FoundProcess } from "../observe/status-socket.ts"
import { commonFlags, foldersOf } from "./common-flags.ts"
import { exitCode } from "./command.ts"
import type { Command, CommandCall } from "./command.ts"
import { processLines } from "./status-lines.ts"

export const statusCommand: Command = {
  name: "status",
  summary: "Shows what relays, agents and balancers of this user do right now.",
  usage: "[flags]",
  words: [0, 0],
  flags: {
    data: {
      kind: "text",
      value: "DIR",
      env: "RDV_DATA",
      summary: "Looks for processes that were started with this RDV_DATA",
    },
    ...commonFlags,
  },
  examples: [
    ["rdv status", "sessions, links, round trips, streams, bytes, routes, limits, targets"],
    ["rdv status --json", "all figures as one JSON object"],
  ],
  notes: ["The exit code is 1 when nothing runs."],
  run,
}

async function run(call: CommandCall): Promise<number> {
  const { output } = call
  const found = await readStatuses(foldersOf(call).state)
  output.record({ processes: found.map(recordOf) })
  found.forEach((each, at) => {
    if (at > 0) output.line()
    for (const line of processLines(each, output)) output.line(line)
  })
  if (found.length === 0 && !output.json) output.note("rdv: no relay, agent or balancer of this user is running")
  return found.length === 0 ? exitCode.failure : exitCode.ok
}

function recordOf({ role, pid, status }: FoundProcess): JsonObject {
  return status ?? { role, pid, error: "it does not answer" }
}
