/** One connection as the engine sees it. */

import type { Client } from "../client/client.ts"

export class Slot {
  readonly client: Client
  readonly target: number
  state: "opening" | "free" | "busy" | "resting" | "closing" | "closed" = "opening"
  /** When `connect` was called, ms since the start. */
  readonly connectMs: number
  openedMs = 0
  /** Of the message under way. */
  plannedMs = 0
  sentMs = 0
  sentBytes = 0
  /** Sent on this connection. */
  messages = 0
  timer: NodeJS.Timeout | undefined

  constructor(client: Client, target: number, connectMs: number) {
    this.client = client
    this.target = target
    this.connectMs = connectMs
  }
}
