/** `--agents` of `rdv load`: a session to the relay through which the generators are reached. */

import { RdvError } from "../../base/error.ts"
import type { CommandCall } from "../../cli/command.ts"
import { dataFlag, relayFlags } from "../../cli/common-flags.ts"
import type { Flags } from "../../cli/flags.ts"
import { uplinkOptions } from "../../cli/uplink-options.ts"
import { silentLog } from "../../base/log.ts"
import { startAgent } from "../../node.ts"
import type { Crew, CrewOptions } from "./engine/crew.ts"
import { startAgents } from "./remote/agents.ts"
import { checkGeneratorName, mostGenerators } from "./remote/messages.ts"

const { ca, ...otherRelayFlags } = relayFlags as Flags & Record<"ca", Flags[string]>

export const agentFlags: Flags = {
  agents: {
    kind: "text",
    value: "A,B,C",
    summary: "Runs the plan from these generators, which wait with rdv load serve, through --relay; each has its share",
  },
  ...otherRelayFlags,
  // --ca is about the target here.
  "relay-ca": { ...ca, summary: "Of the relay: trusts only the authorities of this PEM file" },
  ...dataFlag,
}

/** The generators of `--agents`, for one run after the other. */
export interface Agents {
  readonly names: readonly string[]
  readonly startCrew: (options: CrewOptions) => Promise<Crew>
  /** One of them was gone before its run was over. */
  readonly lost: boolean
  stop(): Promise<void>
}

/** Undefined without `--agents`. Rejects with `usage`, or when the relay cannot be reached. */
export async function connectAgents(call: CommandCall): Promise<Agents | undefined> {
  const { flags, output } = call
  if (!flags.has("agents")) {
    const idle = Object.keys(otherRelayFlags).find((name) => flags.onCommandLine(name))
    if (idle === undefined) return undefined
    throw new RdvError("usage", `--${idle} is about agents, and none is named`, { mend: "add --agents A,B" })
  }
  const names = flags.list("agents").map(checkGeneratorName)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new RdvError("usage", `--agents names ${twice} twice`, { mend: "leave one out" })
  if (names.length === 0 || names.length > mostGenerators) {
    throw new RdvError("usage", `--agents takes 1 to ${mostGenerators} names`, { mend: "write --agents lab1,lab2" })
  }
  if (flags.has("workers")) {
    throw new RdvError("usage", "--workers is about threads of this machine, and --agents about others", {
      mend: "leave one out",
    })
  }
  const uplink = uplinkOptions(call, { ca: "relay-ca" })
  if (uplink === undefined) {
    throw new RdvError("usage", "--agents are reached through a relay", { mend: "add --relay ADDRESS" })
  }
  const up = Promise.withResolvers<void>()
  const running = startAgent({
    ...uplink,
    log: silentLog,
    onEvent: (event) => {
      // The session stands when this round of events is over.
      if (event.kind === "up") setImmediate(up.resolve)
      else if (event.kind === "failed" || event.kind === "retry") up.reject(event.error)
    },
  })
  try {
    await up.promise
  } catch (error) {
    await running.stop()
    throw error
  }
  let lost = false
  return {
    names,
    startCrew: (options) =>
      startAgents({
        ...options,
        host: running.agent,
        agents: names,
        onLost: (text) => {
          lost = true
          output.warn(text)
        },
      }),
    get lost() {
      return lost
    },
    stop: () => running.stop(lastWordsMs),
  }
}

/** Streams that are over may still have their last bytes on the way, ms. */
const lastWordsMs = 1_000
