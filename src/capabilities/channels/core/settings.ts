/** What can be set on one channel, at any time, by its `ctl` file or natively. */

import { RdvError } from "../../../base/error.ts"
import type { Grade } from "./parties.ts"

export interface ChannelSettings {
  /** How many messages wait in the channel without a receiver; 0: rendezvous. */
  readonly size: number
  /** The same in bytes; whichever is reached first. */
  readonly sizeBytes: number
  /** `unicast`: each message goes to one receiver. `multicast`: to each reader that has the channel open. */
  readonly mode: "unicast" | "multicast"
  readonly deliver: Grade
  /** Bytes of one message. */
  readonly maxMessage: number
  /** Text: written bytes are cut into lines, each of them a message. */
  readonly lines: boolean
  /** Blocked sends and receives of files without a deadline of their own fail after this, ms; 0: never. */
  readonly timeoutMs: number
  /** How long a receiver may take from the message to `done`, ms; 0: as long as its reader is there. Grade `done` only. */
  readonly leaseMs: number
  /** Unicast: how often a message may be given out before it goes to `deadLetter`, or its sender hears of it; 0: for ever. */
  readonly attempts: number
  /** Path of the channel that gets messages after `attempts`; empty: their sender gets an error. */
  readonly deadLetter: string
  /** Unicast: what happens to a message whose receiver vanished before the proof. `requeue`: next receiver. `fail`: its sender hears. */
  readonly onDisconnect: "requeue" | "fail"
  /** Multicast: how many of the last messages a new reader gets first. They count as messages in the channel's care. */
  readonly retain: number
  /** Multicast: a reader that is behind by `size` messages stops the senders, or is cut off with a count. */
  readonly slowReader: "wait" | "cut"
  /** Parties that wait on either side; the next one is refused with `limit`. */
  readonly maxWaiting: number
}

export const defaultChannelSettings: ChannelSettings = {
  size: 0,
  sizeBytes: 64 * 2 ** 20,
  mode: "unicast",
  deliver: "seen",
  maxMessage: 2 ** 20,
  lines: false,
  timeoutMs: 0,
  leaseMs: 60_000,
  attempts: 0,
  deadLetter: "",
  onDisconnect: "requeue",
  retain: 0,
  slowReader: "wait",
  maxWaiting: 10_000,
}

/** Throws `usage` for a value that cannot hold. */
export function checkSettings(settings: ChannelSettings): void {
  for (const [name, most] of Object.entries(bounds) as [keyof typeof bounds, number][]) {
    const value = settings[name]
    if (!Number.isInteger(value) || value < 0 || value > most) {
      throw new RdvError("usage", `${keyOf(name)} ${value} of a channel is out of bounds`, {
        mend: `give 0 to ${most}`,
      })
    }
  }
  const { deadLetter } = settings
  if (deadLetter !== "" && (!deadLetter.startsWith("/") || deadLetter.length > 4096)) {
    throw new RdvError("usage", "dead-letter of a channel is no path", { mend: "begin it with /, or leave it empty" })
  }
  if (settings.maxMessage === 0 || settings.maxWaiting === 0) {
    throw new RdvError("usage", "max-message and max-waiting of a channel cannot be 0", { mend: "give at least 1" })
  }
}

/** A day is long for a message, and a gigabyte much memory. */
const bounds = {
  size: 10_000_000,
  sizeBytes: 2 ** 40,
  maxMessage: 2 ** 30,
  timeoutMs: 86_400_000,
  leaseMs: 86_400_000,
  attempts: 1_000_000,
  retain: 1_000_000,
  maxWaiting: 1_000_000,
} as const

/** As `ctl` and the command line spell it. */
function keyOf(setting: string): string {
  return setting.replace(/Ms$/, "").replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
