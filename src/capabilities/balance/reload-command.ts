/** `rdv balance reload`: the running balancer reads its file again, and says what changed or what is wrong. */

import { exitCode } from "../../cli/command.ts"
import type { Command } from "../../cli/command.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { balancerFlags, findBalancer } from "../../cli/find-balancer.ts"
import { printable } from "../../base/columns.ts"

export const reloadCommand: Command = {
  name: "balance reload",
  summary: "Makes the running balancer read its file again.",
  usage: "[flags]",
  words: [0, 0],
  flags: { ...balancerFlags, ...commonFlags },
  notes: [
    "A file that is wrong changes nothing; what is wrong with it is printed, and the exit code is 1.",
    "Running connections stay where they are. A balancer also reads its file when it changes, and on SIGHUP.",
  ],
  examples: [["rdv balance reload", "prints a line for each change"]],
  run: async (call) => {
    const client = await findBalancer(call)
    const { changed } = await client.reload()
    call.output.record({ changed })
    for (const line of changed) call.output.line(printable(line))
    if (changed.length === 0) call.output.line("nothing changed")
    return exitCode.ok
  },
}
