/**
 * Webhooks: a POST says that a machine elsewhere shall start or stop, and a status 2xx that this was understood. The body
 * is `{"action":"start","target":"10.0.0.1:80"}`. The URL is the operator's, so it may lead anywhere; it is never shown in
 * full, because it may carry a secret.
 */

import { RdvError, asRdvError } from "../../../base/error.ts"
import type { WakeSettings } from "../config/settings.ts"
import type { Machine, MachineOptions } from "./machine.ts"

export class HookMachine implements Machine {
  readonly watched = false
  readonly #options: MachineOptions
  readonly #how: WakeSettings["how"] & { readonly kind: "hooks" }

  constructor(options: MachineOptions, how: WakeSettings["how"] & { readonly kind: "hooks" }) {
    this.#options = options
    this.#how = how
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#post("start", this.#how.start, signal)
  }

  async stop(): Promise<void> {
    if (this.#how.stop === undefined) return
    const { clock, settings, log } = this.#options
    const patience = new AbortController()
    const late = () => patience.abort(new RdvError("timeout", `no answer within ${settings.timeoutMs} ms`))
    const timer = clock.after(settings.timeoutMs, late)
    try {
      await this.#post("stop", this.#how.stop, patience.signal)
    } catch (error) {
      log.error("wake.stop_failed", { reason: asRdvError(error).message })
    } finally {
      timer.cancel()
    }
  }

  release(): void {
    // Nothing is held.
  }

  async #post(action: "start" | "stop", address: string, signal: AbortSignal): Promise<void> {
    const url = new URL(address)
    const headers = new Headers({ "content-type": "application/json" })
    if (url.username !== "" || url.password !== "") {
      const user = Buffer.concat([percentDecoded(url.username), Buffer.from(":"), percentDecoded(url.password)])
      headers.set("authorization", `Basic ${user.toString("base64")}`)
      url.username = ""
      url.password = ""
    }
    const body = JSON.stringify({ action, target: this.#options.target })
    let status: number
    try {
      const answer = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" })
      status = answer.status
      await answer.body?.cancel()
    } catch (error) {
      signal.throwIfAborted()
      const cause = (error as Error).cause ?? error
      throw new RdvError("unreachable", `the ${action} hook at ${url.host} failed: ${(cause as Error).message}`, {
        cause: error,
      })
    }
    if (status < 200 || status > 299)
      throw new RdvError("unreachable", `the ${action} hook at ${url.host} answered ${status}`)
  }
}

/** A percent sign that encodes nothing stands for itself (https://url.spec.whatwg.org/#percent-decode). */
function percentDecoded(text: string): Buffer {
  const latin1 = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(latin1, "latin1")
}
