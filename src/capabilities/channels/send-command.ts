/** `rdv chan send`: messages from the command line or from a pipe into a channel. */

import { serverFlags, withChannels } from "../../cli/channel-client.ts"
import { commonFlags } from "../../cli/common-flags.ts"
import { exitCode, untilStopped } from "../../cli/command.ts"
import type { Command, CommandCall } from "../../cli/command.ts"
import type { Channels } from "../../channels.ts"
import { delay, systemClock } from "../../base/clock.ts"
import { asRdvError, RdvError } from "../../base/error.ts"
import { utf8Encode } from "../../base/text.ts"
import { messagesOf } from "./terminal/framing.ts"
import type { Framing } from "./terminal/framing.ts"

export const chanSendCommand: Command = {
  name: "chan send",
  summary: "Sends messages into a channel, and waits until receivers have them.",
  usage: "PATH [MESSAGE…] [flags]",
  words: [1, 1_000],
  flags: {
    lines: { kind: "switch", summary: "Each line of standard input is a message" },
    null: { kind: "switch", summary: "NULs stand between the messages on standard input" },
    create: { kind: "switch", summary: "Makes the channel when it is missing, with its folders" },
    close: { kind: "switch", summary: "Closes the channel behind the last message: its receivers come to an end" },
    timeout: { kind: "text", value: "TIME", summary: "Not longer than this for each message to be taken" },
    try: { kind: "switch", summary: "Only what is taken at once" },
    window: {
      kind: "text",
      value: "N",
      summary: "So many messages of a pipe may wait to be taken; 1: the pipe is read one by one",
      default: "64",
    },
    ...serverFlags,
    ...commonFlags,
  },
  notes: [
    "Without MESSAGE and without --lines or --null, all of standard input is one message. The order is kept. It ends when",
    "every message has arrived as the channel's deliver setting says, or stands in its buffer.",
  ],
  examples: [
    ["rdv chan send /jobs hello", "blocks until somebody has it"],
    ["seq 1000 | rdv chan send /jobs --lines", "as fast as the receivers take them"],
    ["rdv chan send /photos < cat.jpg", "one message of any bytes"],
  ],
  run: (call) => withChannels(call, (server) => send(call, server)),
}

async function send(call: CommandCall, server: Channels): Promise<number> {
  const { flags, output, stopping, words } = call
  const path = words[0] as string
  // Before the first message is there: who receives need not wait for it.
  if (flags.on("create")) await makeMissing(server, path)
  const channel = server.channel(path)
  const timeoutMs = flags.durationMs("timeout", 1)
  const isTry = flags.on("try")
  const window = flags.whole("window", 1, 1_024) as number
  const underWay = new Set<Promise<void>>()
  let sent = 0
  let failure: Error | undefined
  let number = 0
  const stopped = settledAfter(stopping)
  for await (const message of sources(call, await mostBytes(call, server))) {
    number++
    const line = number
    const arrival = channel
      .send(message, { signal: stopping, ...(timeoutMs !== undefined && { timeoutMs }), ...(isTry && { try: true }) })
      .then(() => void sent++)
      .catch((error: unknown) => void (failure ??= atMessage(error, line, words.length === 2)))
      .finally(() => underWay.delete(arrival))
    underWay.add(arrival)
    if (underWay.size >= window) await Promise.race([...underWay, stopped])
    if (failure !== undefined || stopping.aborted) break
  }
  await Promise.race([Promise.all(underWay), stopped])
  if (underWay.size > 0) {
    output.note("rdv: a receiver has a message and has not proved it yet; Ctrl+C again gives up waiting")
  }
  await Promise.all(underWay)
  output.record({ channel: path, sent })
  if (stopping.aborted) return exitCode.interrupted
  if (failure !== undefined) throw failure
  if (flags.on("close")) await channel.end()
  return exitCode.ok
}

/** Resolves when it fires and what was withdrawn has had time to be. */
async function settledAfter(stopping: AbortSignal): Promise<void> {
  await untilStopped(stopping)
  await delay(systemClock, withdrawMs)
}

/** A server answers a withdrawal within a round trip, ms. */
const withdrawMs = 500

async function makeMissing(server: Channels, path: string): Promise<void> {
  try {
    await server.create(path, {}, { folders: true })
  } catch (error) {
    if (!(error instanceof RdvError) || error.code !== "exists") throw error
  }
}

function sources(
  { flags, words, stopping }: CommandCall,
  most: number,
): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  const texts = words.slice(1)
  const framing: Framing = flags.on("lines") ? "lines" : flags.on("null") ? "null" : "whole"
  if (flags.on("lines") && flags.on("null")) {
    throw new RdvError("usage", "--lines and --null exclude each other", { mend: "leave one out" })
  }
  if (texts.length === 0) return messagesOf(inputUntil(process.stdin, stopping), framing, most)
  if (framing !== "whole") {
    throw new RdvError("usage", `--${framing} reads standard input, and messages are given`, { mend: "leave one out" })
  }
  return texts.map((text) => utf8Encode(text))
}

/** Whoever types must not have to end the input first. */
async function* inputUntil(input: NodeJS.ReadStream, stopping: AbortSignal): AsyncGenerator<Uint8Array> {
  const end = () => void input.destroy()
  stopping.addEventListener("abort", end, { once: true })
  try {
    for await (const chunk of input) yield chunk as Uint8Array
  } catch (error) {
    if (!stopping.aborted) throw error
  } finally {
    stopping.removeEventListener("abort", end)
  }
}

/** What the server will refuse need not be read. Rejects with `not_found`. */
async function mostBytes({ words }: CommandCall, server: Channels): Promise<number> {
  if (words.length > 1) return Infinity
  try {
    const entry = await server.stat(words[0] as string)
    return entry.kind === "channel" ? entry.settings.maxMessage : 0
  } catch (error) {
    // Whoever may send need not be allowed to look.
    if (error instanceof RdvError && error.code === "forbidden") return 2 ** 30
    throw error
  }
}

function atMessage(thrown: unknown, number: number, isOnly: boolean): RdvError {
  const error = asRdvError(thrown)
  if (isOnly) return error
  return new RdvError(error.code, `Message ${number}: ${error.message}`, {
    cause: error,
    origin: error.origin,
    ...(error.mend !== undefined && { mend: error.mend }),
  })
}
