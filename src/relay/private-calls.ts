/** A call from one session to a private service of another one of the same owner: finds it, and couples the two streams. */

import { asRdvError, RdvError } from "../base/error.ts"
import type { Stream } from "../base/stream.ts"
import { readPrivateCall } from "../host/private-call.ts"
import { couple } from "./coupling.ts"
import type { Registry } from "./registry.ts"

export interface CallingSession {
  readonly ownerId: string
  /** Where it comes from, for the service. */
  readonly from: string
}

/** Never throws: what cannot be passed on is reset with the reason. */
export function passCall(stream: Stream, { ownerId, from }: CallingSession, registry: Registry): void {
  try {
    const { name, header } = readPrivateCall(stream.header)
    const route = registry.findPrivate(ownerId, name)
    if (route === undefined) throw new RdvError("no_service", `No session of this owner offers "${name}"`)
    couple(stream, route.session.open(route.service, { from, header }))
  } catch (thrown) {
    const { code, message } = asRdvError(thrown)
    stream.reset(code, message)
  }
}
