/**
 * Calls from server to server by name (docs/protocol.md, section 9.8): the relay says who calls, couples the two streams,
 * and has no part in what is said. Who answers for no name calls nobody.
 */

import { asRdvError, RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { Call } from "../../../host/host.ts"
import { keyOfOwner } from "./tab-guests.ts"

export const callService = "tab/call"
export const peerService = "tab/peer"

/** The session behind a name. */
export interface PeerSession {
  readonly ownerId: string
  open(service: string, header: JsonObject): Stream
}

export interface PeerCallsOptions {
  /** The name that a session serves now. */
  readonly nameOf: (session: string) => string | undefined
  /** The session that serves a name, when it is there or comes within the wait. Calls back once, until it is taken back. */
  readonly reach: (name: string, answer: (session: PeerSession | undefined) => void) => () => void
  /** Makes one pipe of both. `onOver` is called once, when the second one is over. */
  readonly couple: (one: Stream, other: Stream, onOver: () => false) => unknown
  readonly callsPerTab: number
}

export class PeerCalls {
  readonly #options: PeerCallsOptions
  /** Under way, by session. */
  readonly #running: Map<string, number> = new Map()
  #made = 0

  constructor(options: PeerCallsOptions) {
    this.#options = options
  }

  status(): { calls: number; running: number } {
    let running = 0
    for (const count of this.#running.values()) running += count
    return { calls: this.#made, running }
  }

  /** Serves a stream of `tab/call`. */
  serve({ stream, caller }: Call): void {
    const { nameOf, reach, couple, callsPerTab } = this.#options
    const session = caller.session ?? ""
    const key = keyOfOwner(caller.id)
    const from = nameOf(session)
    if (key === undefined || from === undefined) {
      throw new RdvError("forbidden", "Only a server that has a name here calls others: go public first")
    }
    const { name, header } = readCall(stream.header)
    const running = this.#running.get(session) ?? 0
    if (running >= callsPerTab) throw new RdvError("limit", `${callsPerTab} calls to peers are under way`)
    this.#running.set(session, running + 1)
    this.#made++
    const over = (): false => {
      const left = (this.#running.get(session) ?? 1) - 1
      if (left > 0) this.#running.set(session, left)
      else this.#running.delete(session)
      return false
    }
    // Not attached meanwhile: what the caller has said waits in its window, and whether it has left is heard afterwards.
    reach(name, (other) => {
      try {
        if (keyOfOwner(other?.ownerId) === undefined) throw new RdvError("unreachable", `"${name}" is not there`)
        couple(stream, (other as PeerSession).open(peerService, { from, key, header }), over)
      } catch (thrown) {
        over()
        const { code, message } = asRdvError(thrown)
        stream.reset(code, message)
      }
    })
  }
}

/** Reads the header of `tab/call`. Throws `protocol`. */
export function readCall(json: JsonObject): { readonly name: string; readonly header: JsonObject } {
  const { name, header = {} } = json
  if (typeof name !== "string" || !/^[a-z0-9-]{1,63}$/.test(name)) throw wrong("name")
  if (!isJsonObject(header)) throw wrong("header")
  return { name, header }
}

function wrong(key: string): RdvError {
  return new RdvError("protocol", `"${key}" of a call to a peer is missing or wrong`)
}
