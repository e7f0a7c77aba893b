/** How a member reaches its relay. A session stands behind it, which outlives cuts; a relay that starts anew gets a new one. */

import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { Pipe } from "../../../base/pipe.ts"

export interface RelayAccess {
  /** Opens a stream as soon as there is a session. Rejects when there will not be one: `unauthorized`, `unreachable`, `closed`. */
  open(service: string, header: JsonObject, signal: AbortSignal): Promise<Stream>
  /** A connection of its own to the relay, for chunks; absent where the platform or the way there allows none. */
  connect?(signal: AbortSignal): Promise<Pipe>
}
