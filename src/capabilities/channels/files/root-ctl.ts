/**
 * The file `ctl` at the root, in the format of dchan: a line for each channel with TAB between path, size, messages in and
 * out in the last second, and their means; and commands `PATH SIZE`, `PATH KEY VALUE`, `PATH close`. A path with spaces
 * ends at a TAB.
 */

import { RdvError } from "../../../base/error.ts"
import type { Channel } from "../core/channel.ts"
import { obey, readCommand } from "./channel-ctl.ts"
import type { ChannelCommand } from "./channel-ctl.ts"
import { requireGrave, requireOwner, sees } from "./permissions.ts"
import type { View } from "./view.ts"

export function showChannels({ space, paths, identity }: View): string {
  let text = ""
  for (const { path, settings, rates } of space.channels()) {
    const seen = paths.asSeen(path)
    if (seen === undefined || !sees(identity, path)) continue
    const { received, delivered, meanReceived, meanDelivered } = rates
    text += `${seen}\t${settings.size}\t${received}\t${delivered}\t${meanReceived.toFixed(2)}\t${meanDelivered.toFixed(2)}\n`
  }
  return text
}

/** All lines or none. Throws `usage`, `not_found`, `in_use` and `EPERM`. */
export function obeyRoot(view: View, text: string): void {
  const commands = new Map<Channel, ChannelCommand>()
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue
    const { path, rest } = split(line)
    const full = view.paths.inSpace(path)
    if (!sees(view.identity, full)) throw new RdvError("not_found", `There is no channel ${path}`)
    const channel = view.space.channel(full)
    requireOwner(view.identity, channel.facts, channel.path)
    const command = commands.get(channel) ?? { changes: {}, close: false }
    readCommand(command, /^\d+$/.test(rest) ? `size ${rest}` : rest, view.paths)
    requireGrave(view.identity, view.space, command.changes.deadLetter ?? "")
    commands.set(channel, command)
  }
  if (commands.size === 0) throw new RdvError("usage", "Nothing is written", { mend: 'write "PATH SIZE"' })
  obey(commands)
}

function split(line: string): { path: string; rest: string } {
  const cut = line.includes("\t") ? /^([^\t]*)\t\s*(.*)$/s : /^(\S*)\s+(.*)$/s
  const [, path = "", rest = ""] = cut.exec(line.trim()) ?? []
  if (path.startsWith("/") && rest !== "") return { path, rest }
  throw new RdvError("usage", `${JSON.stringify(line.slice(0, 80))} is no command`, {
    mend: 'write "PATH SIZE" or "PATH KEY VALUE"',
  })
}
