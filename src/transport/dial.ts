/** Dials whatever an address names. The one place that knows every transport Node has. */

import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import type { Address } from "./address.ts"
import { dialTcp } from "./tcp.ts"
import { dialTls } from "./tls.ts"
import type { TlsDialLimits } from "./tls.ts"
import { dialUnix } from "./unix.ts"
import { dialUpgrade } from "./upgrade.ts"
import { dialWebSocketFromNode } from "./ws-dial.ts"

/** `memory` addresses are refused: a memory network is a value that its owner dials. */
export async function dial(address: Address, limits: TlsDialLimits): Promise<Link> {
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
