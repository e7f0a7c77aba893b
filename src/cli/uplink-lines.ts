/** What people and programs hear about an agent's link: one clear line each, and no line twice. */

import type { UplinkEvent } from "../agent/uplink.ts"
import { printable } from "./output.ts"
import type { Output } from "./output.ts"

export class UplinkLines {
  readonly #output: Output
  readonly #relay: string
  #wasUp = false
  #isDown = false
  #retryReason = ""

  constructor(output: Output, relay: string) {
    this.#output = output
    this.#relay = relay
  }

  /** True once there was a session. */
  get wasUp(): boolean {
    return this.#wasUp
  }

  hear(event: UplinkEvent): void {
    const output = this.#output
    switch (event.kind) {
      case "up": {
        const downMs = Math.round(event.downMs)
        output.record({ event: "link.up", relay: this.#relay, resumed: event.again, downMs })
        if (event.again) this.#say("green", `resumed after ${span(downMs)}; nothing was lost`)
        else if (this.#wasUp) this.#say("green", `connected again with a new session, after ${span(downMs)}`)
        else if (this.#retryReason !== "") this.#say("green", "connected")
        this.#wasUp = true
        this.#isDown = false
        this.#retryReason = ""
        return
      }
      case "down":
        output.record({ event: "link.lost", relay: this.#relay, code: event.error.code, reason: event.error.message })
        // The session of a link that is gone may end as well.
        if (!this.#isDown) this.#say("yellow", `link lost: ${event.error.message}; reconnecting`)
        this.#isDown = true
        return
      case "retry": {
        const { code, message, mend } = event.error
        const retryMs = Math.round(event.retryMs)
        output.record({ event: "link.retry", relay: this.#relay, code, reason: message, retryMs })
        // The first failure behind a cut is no news; a lasting reason is said once.
        if (message === this.#retryReason) return
        this.#retryReason = message
        this.#say("yellow", `${message}${mend === undefined ? "" : ` (${mend})`}; trying again`)
        return
      }
      case "draining":
        output.record({ event: "relay.draining", relay: this.#relay })
        this.#say("yellow", "the relay is shutting down; a new session follows when it is back")
        return
      case "failed":
        output.record({ event: "failed", relay: this.#relay, code: event.error.code, reason: event.error.message })
    }
  }

  #say(style: "green" | "yellow", text: string): void {
    if (!this.#output.json) this.#output.note(`rdv: ${this.#output.paintNote(style, printable(text))}`)
  }
}

/** `850 ms`, `12.4 s`, `3 min`. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${Math.round(ms / 100) / 10} s`
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`
}
