/** Dials whatever an address names. The one place that knows every transport Node has. */

import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { nameLookup } from "./name-lookup.ts"
import { stagger } from "./stagger.ts"
import { dialTcp } from "./tcp.ts"
import { dialTls } from "./tls.ts"
import type { TlsDialLimits } from "./tls.ts"
import { dialUnix } from "./unix.ts"
import { dialUpgrade } from "./upgrade.ts"
import { dialWebSocketFromNode } from "./ws-dial.ts"

/**
 * Over a network, further attempts begin while the first has no answer. Who dials more than once gives a `lookup` of its
 * own. `memory` addresses are refused: a memory network is a value that its owner dials.
 */
export function dial(address: Address, limits: TlsDialLimits): Promise<Link> {
  if (address.scheme === "unix" || address.scheme === "memory") return dialOnce(address, limits)
  const { lookup = nameLookup() } = limits
  return stagger(
    (signal) => dialOnce(address, { ...limits, lookup, signal }),
    (late) => late.abort(new RdvError("cancelled")),
    { clock: systemClock, signal: limits.signal, everyMs: attemptEveryMs, most: attemptsAtOnce },
  )
}

/** A network that is back is found within this, ms. Answers over most networks take less, so most dials are one attempt. */
const attemptEveryMs = 1_000
/** The first one, and two that are one and two seconds old at most. */
const attemptsAtOnce = 3

async function dialOnce(address: Address, limits: TlsDialLimits): Promise<Link> {
  switch (address.scheme) {
    case "tcp":
      return dialTcp(address, limits)
    case "tls":
      return dialTls(address, limits)
    case "unix":
      return dialUnix(address, limits)
    case "http":
    case "https":
      return dialUpgrade(address, limits)
    case "ws":
    case "wss":
      return dialWebSocketFromNode(address, limits)
    case "memory":
      throw new RdvError("usage", `memory:${address.name} cannot be reached from here`, {
        mend: "use the address of a relay",
      })
  }
}
