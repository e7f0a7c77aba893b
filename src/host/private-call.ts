/**
 * Calls between sessions of one owner (docs/protocol.md, section 9.4): one offers a service under a private name, another
 * one opens a stream to it by that name, and the relay couples the two. Nobody else can reach it, and nothing listens.
 */

import { RdvError } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream } from "../base/stream.ts"
import { isServiceName } from "../wire/encode.ts"
import type { Host } from "./host.ts"

/** What the relay offers to each session. */
export const callService = "call"

export interface PrivateCall {
  readonly name: string
  /** For the service. */
  readonly header: JsonObject
}

/** What the service gets as the header of its stream. */
export interface PrivateCaller {
  /** The address of the calling session, as the relay sees it. */
  readonly from: string
  /** What the caller gave. */
  readonly header: JsonObject
}

/**
 * Calls the private service of that name. Throws as `Host.dial`; the stream closes with `no_service` when no session of
 * this owner offers it.
 */
export function dialPrivate(host: Host, name: string, header: JsonObject = {}): Stream {
  return host.dial(callService, { header: { name, header } })
}

/** Throws `usage` for a name that no relay takes. */
export function checkPrivateName(name: string): void {
  if (isServiceName(name)) return
  throw new RdvError("usage", `"${name}" is no private name`, { mend: 'use a-z, 0-9, ".", "_", "-" and "/"' })
}

/** Reads the header of a call at the relay. Throws `protocol`. */
export function readPrivateCall(json: JsonObject): PrivateCall {
  const { name, header = {} } = json
  if (typeof name !== "string" || name.length === 0 || name.length > 100) throw wrong("name")
  if (!isJsonObject(header)) throw wrong("header")
  return { name, header }
}

/** Reads the header of a call at the service. Throws `protocol`. */
export function readPrivateCaller(json: JsonObject): PrivateCaller {
  const { from, header } = json
  if (typeof from !== "string" || from.length > 512) throw wrong("from")
  if (!isJsonObject(header)) throw wrong("header")
  return { from, header }
}

function wrong(key: string): RdvError {
  return new RdvError("protocol", `"${key}" of a private call is missing or wrong`)
}
