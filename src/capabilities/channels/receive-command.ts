/** `rdv chan recv`: messages of a channel to standard output or to a command for each. */

import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { serverFlags, withChannels } from "../../cli/channel-client.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { exitCode } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import type { Channels, Message } from "../../channels.ts"
import { contentOf } from "./terminal/content.ts"
import { runForMessage } from "./terminal/exec.ts"
import { framed } from "./terminal/framing.ts"
import type { Framing } from "./terminal/framing.ts"
import { writeOut } from "./terminal/write-out.ts"

export const chanReceiveCommand: Command = {
  name: "chan recv",
  summary: "Receives from a channel: one message, or as many as come.",
  usage: "PATH [flags]",
  words: [1, 1],
  flags: {
    follow: { kind: "switch", summary: "Goes on until the channel is closed, a line for each message" },
    count: { kind: "text", value: "N", summary: "So many messages" },
    timeout: { kind: "text", value: "TIME", summary: "Not longer than this for each message" },
    try: { kind: "switch", summary: "Only what is there now" },
    lines: { kind: "switch", summary: "Ends each message with a newline; so does --follow" },
    null: { kind: "switch", summary: "Ends each message with a NUL" },
    raw: { kind: "switch", summary: "Adds nothing between messages" },
    exec: { kind: "text", value: "COMMAND", summary: "Runs it for each message, which it gets on standard input" },
    ack: { kind: "switch", summary: "With --exec: a message counts as taken only when its command has exited with 0" },
    parallel: { kind: "text", value: "N", summary: "So many commands of --exec at a time", default: "1" },
    create: { kind: "switch", summary: "Makes the channel when it is missing, with its folders" },
    ...serverFlags,
    ...commonFlags,
  },
  notes: [
    "A message counts as taken when it is written out. With --ack its command decides: when it fails, the message goes to",
    "another receiver, or where the channel's attempts and dead-letter say. Commands find RDV_CHANNEL, RDV_MESSAGE_ID and",
    "RDV_ATTEMPT in their environment.",
    "With --json each message is a line with its text, or its base64 when it is no text.",
  ],
  examples: [
    ["rdv chan recv /jobs", "the next message"],
    ["rdv chan recv /jobs --follow | ./worker", "lines for a program, no faster than it reads them"],
    ["rdv chan recv /jobs --follow --ack --exec './work.sh'", "a process for each, done when it says so"],
    ["rdv chan recv /jobs --timeout 5s", "exit code 4 when nothing came, 5 when the channel is closed or gone"],
  ],
  run: (call) => withChannels(call, (server) => receive(call, server)),
}

interface Plan {
  readonly most: number
  readonly timeoutMs: number | undefined
  readonly isTry: boolean
  readonly framing: Framing
  readonly command: string | undefined
  readonly parallel: number
  readonly ack: boolean
}

async function receive(call: CommandCall, server: Channels): Promise<number> {
  const plan = planOf(call)
  const channel = server.channel(call.words[0] as string, { create: call.flags.on("create") })
  const underWay = new Set<Promise<void>>()
  // A command that fails is no failure of ours: its message goes on to somebody else.
  let failures = 0
  /** The channel is closed, and nothing is left in it. */
  let isOver = false
  let failure: Error | undefined
  try {
    for (let taken = 0; taken < plan.most && failure === undefined; taken++) {
      const message = await channel.receive({
        signal: call.stopping,
        ack: true,
        ...(plan.timeoutMs !== undefined && { timeoutMs: plan.timeoutMs }),
        ...(plan.isTry && { try: true }),
      })
      if (message === undefined) {
        isOver = true
        break
      }
      const work = deal(call, plan, message)
        .then((isDone) => void (failures += isDone ? 0 : 1))
        .catch((error: unknown) => void (failure ??= error as Error))
        .finally(() => underWay.delete(work))
      underWay.add(work)
      if (underWay.size >= plan.parallel) await Promise.race(underWay)
    }
  } catch (error) {
    failure ??= error as Error
  }
  await Promise.all(underWay)
  if (call.stopping.aborted) return exitCode.interrupted
  // Whoever reads us has enough.
  if ((failure as { code?: string } | undefined)?.code === "EPIPE") return exitCode.ok
  if (failure !== undefined) throw failure
  if (isOver && !call.flags.on("follow")) {
    if (!call.output.json) call.output.note(`rdv: ${call.words[0]} is closed`)
    return exitCode.gone
  }
  return failures === 0 ? exitCode.ok : exitCode.failure
}

/** True when the message is done. */
async function deal(call: CommandCall, plan: Plan, message: Message): Promise<boolean> {
  const { output, words, stopping } = call
  const path = words[0] as string
  if (plan.command !== undefined) {
    if (!plan.ack) message.done()
    const status = await runForMessage(plan.command, path, message, stopping)
    const isDone = status === "0"
    if (isDone) message.done()
    else message.fail(`the command ended with ${status}`)
    output.record({ ...factsOf(path, message), status })
    if (!isDone) output.note(`rdv: message ${message.id}, attempt ${message.attempt}: the command ended with ${status}`)
    return isDone
  }
  try {
    if (output.json) output.record({ ...factsOf(path, message), ...contentOf(message) })
    else await writeOut(framed(message.bytes, plan.framing))
  } catch (error) {
    message.fail("its receiver could not write it out")
    throw error
  }
  message.done()
  return true
}

function planOf({ flags }: CommandCall): Plan {
  if (flags.text("exec") === undefined && (flags.on("ack") || flags.has("parallel"))) {
    throw new RdvError("usage", `${flags.on("ack") ? "--ack" : "--parallel"} is about commands`, { mend: "add --exec" })
  }
  const ways = (["lines", "null", "raw"] as const).filter((each) => flags.on(each))
  if (ways.length > 1) {
    throw new RdvError("usage", `--${ways[0]} and --${ways[1]} exclude each other`, { mend: "leave one out" })
  }
  const follow = flags.on("follow")
  const count = flags.whole("count", 1, Number.MAX_SAFE_INTEGER)
  const usual = follow || (count ?? 1) > 1 ? "lines" : "whole"
  const [way] = ways
  return {
    most: count ?? (follow ? Infinity : 1),
    timeoutMs: flags.durationMs("timeout", 1),
    isTry: flags.on("try"),
    framing: way === undefined ? usual : way === "raw" ? "whole" : way,
    command: flags.text("exec"),
    parallel: flags.text("exec") === undefined ? 1 : (flags.whole("parallel", 1, 1_000) as number),
    ack: flags.on("ack"),
  }
}

function factsOf(channel: string, { id, attempt, bytes }: Message): JsonObject {
  return { channel, id, attempt, bytes: bytes.length }
}
