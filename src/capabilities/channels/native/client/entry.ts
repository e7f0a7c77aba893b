/** What a server tells of its channels and folders. */

import { RdvError } from "../../../../base/error.ts"
import type { JsonObject } from "../../../../base/json.ts"
import type { ChannelStats } from "../../core/channel.ts"
import type { ChannelSettings } from "../../core/settings.ts"

export interface ChannelEntry {
  readonly kind: "channel"
  readonly path: string
  readonly owner: string
  /** As of a file: read is receive, write is send. */
  readonly permissions: number
  /** Takes no messages any more. */
  readonly closed: boolean
  /** When a message came in last; ms since 1970. */
  readonly changedAt: number
  readonly settings: ChannelSettings
  /** Since the channel was made, and what is there now. */
  readonly counts: ChannelStats
  /** Messages a second: of the last second, and a mean over about a minute. */
  readonly rates: {
    readonly received: number
    readonly delivered: number
    readonly meanReceived: number
    readonly meanDelivered: number
  }
}

export interface FolderEntry {
  readonly kind: "folder"
  readonly path: string
  readonly owner: string
  readonly permissions: number
  /** How many channels and folders are in it. */
  readonly entries: number
}

export type Entry = ChannelEntry | FolderEntry

/** Takes the server's word for the numbers. Throws `protocol` for something else than an entry. */
export function readEntry(json: JsonObject): Entry {
  const { kind, path } = json
  const isChannel = kind === "channel" && isFilled(json["settings"]) && isFilled(json["counts"])
  if (typeof path !== "string" || !(isChannel || kind === "folder")) {
    throw new RdvError("protocol", "The server lists something that is neither a channel nor a folder")
  }
  return json as unknown as Entry
}

function isFilled(value: unknown): boolean {
  return typeof value === "object" && value !== null
}
