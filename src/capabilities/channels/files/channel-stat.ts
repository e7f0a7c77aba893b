/** A channel's counters as `key value` lines. */

import type { Channel } from "../core/channel.ts"

/** `refused`: why the last command that was refused was. */
export function showStats(channel: Channel, refused: string = "-"): string {
  const stats = Object.entries(channel.stats()).map(([name, value]) => `${kebab(name)} ${Math.round(value)}\n`)
  const state = channel.removed ? "removed" : channel.closed ? "closed" : "open"
  return `state ${state}\n${stats.join("")}refused ${refused}\n`
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
