/** A channel's settings as text: `key value` lines in its `ctl` file, the same keys as words elsewhere. */

import { RdvError } from "../../../base/error.ts"
import { nearest } from "../../../base/nearest.ts"
import { readBytes, readDuration } from "../../../config/quantity.ts"
import type { Channel } from "../core/channel.ts"
import type { ChannelSettings } from "../core/settings.ts"

interface Key<Name extends keyof ChannelSettings> {
  readonly setting: Name
  /** Throws `usage`. */
  readonly read: (text: string) => ChannelSettings[Name]
  readonly show: (value: ChannelSettings[Name]) => string
}

/** Ties a key's reader to its setting's type, and forgets the type behind it. */
function key<Name extends keyof ChannelSettings>(
  setting: Name,
  read: Key<Name>["read"],
  show: Key<Name>["show"],
): { change(text: string): Partial<ChannelSettings>; show(settings: ChannelSettings): string } {
  return {
    change: (text) => ({ [setting]: read(text) }),
    show: (settings) => show(settings[setting]),
  }
}

const keys = {
  size: key("size", readCount, String),
  "size-bytes": key("sizeBytes", readBytes, showBytes),
  mode: key("mode", oneOf("unicast", "multicast"), String),
  deliver: key("deliver", oneOf("matched", "seen", "done"), String),
  "max-message": key("maxMessage", readBytes, showBytes),
  lines: key(
    "lines",
    (text) => oneOf("on", "off")(text) === "on",
    (value) => (value ? "on" : "off"),
  ),
  timeout: key("timeoutMs", readWholeMs, showMs),
  lease: key("leaseMs", readWholeMs, showMs),
  attempts: key("attempts", readCount, String),
  "dead-letter": key("deadLetter", readPath, (value) => (value === "" ? "-" : value)),
  "on-disconnect": key("onDisconnect", oneOf("requeue", "fail"), String),
  retain: key("retain", readCount, String),
  "slow-reader": key("slowReader", oneOf("wait", "cut"), String),
  "max-waiting": key("maxWaiting", readCount, String),
} as const

export const settingKeys: readonly string[] = Object.keys(keys)

/** Where paths in settings begin: clients whose root is a folder of the space see other paths than the space does. */
export interface PathView {
  /** A path as a client writes it, as the space knows it. */
  inSpace(path: string): string
  /** And back; undefined for what the client does not see. */
  asSeen(path: string): string | undefined
}

const wholeSpace: PathView = { inSpace: (path) => path, asSeen: (path) => path }

/** The change that `key value` asks for. Throws `usage`. */
export function readSetting(name: string, text: string, paths: PathView = wholeSpace): Partial<ChannelSettings> {
  if (!Object.hasOwn(keys, name)) {
    const near = nearest(name, settingKeys)
    const mend = near === undefined ? `the keys are ${settingKeys.join(", ")}` : `did you mean ${near}?`
    throw new RdvError("usage", `There is no setting ${JSON.stringify(name.slice(0, 80))}`, { mend })
  }
  try {
    const change = keys[name as keyof typeof keys].change(text)
    return change.deadLetter ? { deadLetter: paths.inSpace(change.deadLetter) } : change
  } catch (error) {
    if (!(error instanceof RdvError) || error.code !== "usage") throw error
    throw new RdvError("usage", `${name}: ${error.message}`, error.mend === undefined ? {} : { mend: error.mend })
  }
}

/** All settings as `key value` lines. */
export function showSettings(settings: ChannelSettings, paths: PathView = wholeSpace): string {
  const { deadLetter } = settings
  const seen = { ...settings, deadLetter: deadLetter === "" ? "" : (paths.asSeen(deadLetter) ?? "") }
  return Object.entries(keys)
    .map(([name, each]) => `${name} ${each.show(seen)}\n`)
    .join("")
}

/** What lines ask of one channel: changes of settings, and maybe its close behind them. */
export interface ChannelCommand {
  changes: Partial<ChannelSettings>
  close: boolean
}

/** Adds a line, `key value` or `close`, to a command. Throws `usage`. */
export function readCommand(command: ChannelCommand, line: string, paths: PathView): void {
  const [, name = "", value = ""] = /^(\S*)\s*(.*)$/s.exec(line.trim()) ?? []
  if (name === "close" && value === "") command.close = true
  else if (value === "" && Object.hasOwn(keys, name))
    throw new RdvError("usage", `${name} has no value`, { mend: `write ${name} VALUE` })
  else Object.assign(command.changes, readSetting(name, value, paths))
}

/** Gives commands to their channels: to all of them, or, when one cannot take its own, to none. Throws `usage`, `in_use`. */
export function obey(commands: ReadonlyMap<Channel, ChannelCommand>): void {
  const done: [Channel, ChannelSettings][] = []
  try {
    for (const [channel, { changes }] of commands) {
      const before = channel.settings
      channel.configure(changes)
      done.push([channel, before])
    }
  } catch (error) {
    for (const [channel, before] of done.toReversed()) channel.configure(before)
    throw error
  }
  for (const [channel, { close }] of commands) if (close) channel.close()
}

/** What is written into a channel's `ctl`. Throws `usage`, `in_use`, and what `check` throws. */
export function obeyLines(
  channel: Channel,
  text: string,
  paths: PathView,
  check?: (changes: Partial<ChannelSettings>) => void,
): void {
  const command: ChannelCommand = { changes: {}, close: false }
  for (const line of text.split("\n")) if (line.trim() !== "") readCommand(command, line, paths)
  check?.(command.changes)
  obey(new Map([[channel, command]]))
}

function oneOf<Word extends string>(...words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((each) => each === text)
    if (word !== undefined) return word
    throw new RdvError("usage", `${JSON.stringify(text.slice(0, 80))} is none of its values`, {
      mend: `write ${words.join(" or ")}`,
    })
  }
}

function readCount(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new RdvError("usage", `${JSON.stringify(text.slice(0, 80))} is not a whole number`, { mend: "write 0 or more" })
}

function readWholeMs(text: string): number {
  return Math.ceil(readDuration(text))
}

function readPath(text: string): string {
  if (text === "-") return ""
  if (text.startsWith("/")) return text
  throw new RdvError("usage", `${JSON.stringify(text.slice(0, 80))} is no path`, {
    mend: "begin it with /, or write -",
  })
}

/** `5s`, `1500ms`, `0`. */
function showMs(ms: number): string {
  if (ms === 0) return "0"
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`
}

/** `64MiB`, `1000`. */
function showBytes(bytes: number): string {
  const units = [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const
  const unit = bytes === 0 ? undefined : units.find(([, size]) => bytes % size === 0)
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`
}
