/** `rdv share status`: one swarm as its relay sees it, or the shares of this machine. */

import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { commonFlags, dataFlag, foldersOf, logFlags, logOf } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import { openShareAccess } from "../../share-access.ts"
import { connectFlags, passwordFlags, passwordOf } from "../../cli/share-flags.ts"
import { codeWord } from "../../cli/code-word.ts"
import { localShares, relaySwarms, shareLines, swarmTable } from "../../cli/share-lines.ts"
import { codeOf, guestWishes, relayOf, shareExitCode } from "../../cli/share-code.ts"
import { watchSwarm } from "../../cli/share-watch.ts"
import { Screen } from "../../cli/top-screen.ts"
import { readStatuses } from "../../observe/status-socket.ts"
import { nodeKeys } from "./node/node-keys.ts"
import type { SwarmPicture } from "./protocol/control.ts"
import { swarmLines } from "./terminal/swarm-lines.ts"

export const shareStatusCommand: Command = {
  name: "share status",
  summary: "Shows who has what of a share, or the shares of this machine.",
  usage: "[CODE|LINK] [flags]",
  words: [0, 1],
  flags: {
    watch: { kind: "switch", summary: "With a code: goes on until q or Ctrl+C" },
    ...passwordFlags,
    ...connectFlags,
    ...dataFlag,
    ...logFlags,
    ...commonFlags,
  },
  notes: [
    "PARTS is 32 parts of what is shared, each as high as the member has of it. HAS counts chunks, FROM tells their ways.",
    "No token is needed: the code is enough, and one of the environment is not shown; --token and --token-file are.",
    "Exit codes: 0 seen, 1 nothing runs on this machine, 3 no relay, 4 the relay knows no such share, 5 refused.",
  ],
  examples: [
    ["rdv share status", "what this machine sends and receives"],
    ["rdv share status 482713-lusab-babad-gutih-tugad-bivuj --watch", "a swarm, as it grows"],
  ],
  run: (call) => (call.words[0] === undefined ? ofThisMachine(call) : ofSwarm(call, call.words[0])),
}

async function ofThisMachine(call: CommandCall): Promise<number> {
  const { output, flags } = call
  if (flags.on("watch")) {
    throw new RdvError("usage", "--watch is about one share", { mend: "add its code, or use rdv top" })
  }
  const found = await readStatuses(foldersOf(call).state)
  const shares = localShares(found)
  const swarms = relaySwarms(found)
  output.record({ shares, swarms })
  if (shares.length > 0) for (const line of shareLines(shares)) output.line(line)
  if (swarms.length > 0) {
    if (shares.length > 0) output.line()
    for (const line of swarmTable(swarms)) output.line(line)
  }
  if (shares.length + swarms.length > 0) return exitCode.ok
  if (!output.json) output.note("rdv: nothing is shared by this user on this machine")
  return exitCode.failure
}

async function ofSwarm(call: CommandCall, word: string): Promise<number> {
  const { flags, output, stopping } = call
  const place = codeOf(await codeWord(word, process.stdin))
  const { swarm } = place.code
  const password = await passwordOf(call, { twice: false })
  const keys = await nodeKeys(place.code, password)
  const wishes = guestWishes(call, relayOf(call, place), swarm, keys)
  const log = logOf(call, "error")
  const way = openShareAccess({ ...wishes, log })
  const follows = flags.on("watch")
  const quit = new AbortController()
  const ended = AbortSignal.any([stopping, quit.signal])
  const first = Promise.withResolvers<void>()
  let picture: SwarmPicture | undefined
  const screen =
    follows && output.interactive
      ? screenOf(
          () => quit.abort(),
          () => draw(),
        )
      : undefined
  const draw = () => {
    if (picture === undefined || screen === undefined) return
    const { columns, rows } = screen
    screen.draw(swarmLines(picture, { columns, rows: rows - 5, paint: output.paint.bind(output) }))
  }
  const watch = watchSwarm({
    access: way.access,
    swarm,
    keys,
    log,
    onPicture: (seen) => {
      picture = seen
      first.resolve()
      if (ended.aborted) return
      output.record({ event: "share.swarm", ...(seen as unknown as JsonObject) })
      if (screen !== undefined) draw()
      else if (!output.json) for (const line of swarmText(call, seen, follows)) output.line(line)
      if (!follows) quit.abort()
    },
  })
  try {
    const over = new Promise<void>((resolve) => {
      if (ended.aborted) resolve()
      ended.addEventListener("abort", () => resolve(), { once: true })
    })
    await Promise.race([over, watch.ended, way.failed])
    return stopping.aborted && !follows ? exitCode.interrupted : exitCode.ok
  } catch (error) {
    screen?.close()
    return shareExitCode(error, output)
  } finally {
    screen?.close()
    await watch.stop()
    await way.stop()
  }
}

function swarmText({ output }: CommandCall, picture: SwarmPicture, follows: boolean): string[] {
  const lines = swarmLines(picture, { columns: output.columns, paint: output.paint.bind(output) })
  return follows ? [...lines, ""] : lines
}

function screenOf(onQuit: () => void, onResize: () => void): Screen {
  return new Screen({
    stdin: process.stdin,
    stdout: process.stdout,
    onResize,
    onKey: (key) => {
      // In raw mode the terminal makes no signal of Ctrl+C.
      if (["q", "Q", "\u0003", "\u001b"].includes(key)) onQuit()
    },
  })
}
