/** Which ports of a file clash. Several apps share one when its connections can be told apart by server name. */

import { isIPv4 } from "node:net"
import { isDeepStrictEqual } from "node:util"
import { placeText } from "../../../config/problems.ts"
import { listenAddressText } from "./address-forms.ts"
import type { ListenerPlace } from "./listener-form.ts"
import type { ListenerSettings } from "./settings.ts"

export interface NamedListener extends ListenerPlace {
  readonly app: string
}

/** Notes each clash at the later place. */
export function checkPorts(listeners: readonly NamedListener[]): void {
  const byPort = new Map<number, NamedListener[]>()
  for (const one of listeners) {
    const before = byPort.get(one.listener.port)
    if (before === undefined) byPort.set(one.listener.port, [one])
    else {
      for (const other of before) if (clash(other, one)) break
      before.push(one)
    }
  }
}

/** Whether there was one. */
function clash(before: NamedListener, now: NamedListener): boolean {
  const [a, b] = [before.listener, now.listener]
  if (!overlaps(a, b)) return false
  const port = `port ${b.port} of ${JSON.stringify(now.app)}`
  const other = `one of ${JSON.stringify(before.app)}, at ${placeText(before.value.place)}`
  const tell = (what: string, mend: string) => {
    now.value.wrong(`${port} ${what}`, mend)
    return true
  }
  if (before.app === now.app || (a.serverNames.length === 0 && b.serverNames.length === 0)) {
    const named = before.app === now.app || a.host !== b.host
    return tell(
      `is already ${other}`,
      named
        ? "each port can stand in the file once"
        : 'each port can stand in the file once, or share it by "server-names"',
    )
  }
  if (a.host !== b.host) {
    return tell(
      `is already ${other}, where it listens on ${listenAddressText(a)}`,
      "listen on the same address to share the port",
    )
  }
  const name = b.serverNames.find((one) => a.serverNames.includes(one))
  if (name !== undefined) return tell(`takes ${name}, as does ${other}`, "leave one out")
  for (const [key, left, right] of [
    ["proxy-protocol", a.proxyProtocol, b.proxyProtocol],
    ["proxy-from", a.proxyFrom, b.proxyFrom],
    ["backlog", a.backlog, b.backlog],
  ] as const) {
    if (!isDeepStrictEqual(left, right)) {
      return tell(`has another "${key}" than ${other}`, "one listener has one: make them alike")
    }
  }
  return false
}

/** Whether the system refuses to listen on both. */
function overlaps(a: ListenerSettings, b: ListenerSettings): boolean {
  if (a.host === b.host) return true
  return covers(a.host, b.host) || covers(b.host, a.host)
}

function covers(wide: string | undefined, host: string | undefined): boolean {
  // `::` takes IPv4 too.
  if (wide === undefined || wide === "::") return true
  return wide === "0.0.0.0" && (host === undefined || isIPv4(host))
}
