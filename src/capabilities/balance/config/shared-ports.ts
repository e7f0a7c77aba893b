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

/** Who listens on one address. */
interface Group {
  readonly first: NamedListener
  readonly apps: Map<string, NamedListener>
  readonly names: Map<string, NamedListener>
  /** Takes what nobody else does. */
  rest: NamedListener | undefined
}

/** Notes each clash at the later place. */
export function checkPorts(listeners: readonly NamedListener[]): void {
  const byPort = new Map<number, Map<string | undefined, Group>>()
  for (const one of listeners) {
    const { host, port, serverNames } = one.listener
    const groups = byPort.get(port) ?? new Map<string | undefined, Group>()
    byPort.set(port, groups)
    const group = groups.get(host)
    const wider = [...groups.values()].find(
      ({ first }) => first.listener.host !== host && overlaps(first.listener, one.listener),
    )
    if (wider !== undefined) tellWider(wider.first, one)
    else if (group !== undefined) tellClash(group, one)
    const present = group ?? { first: one, apps: new Map(), names: new Map(), rest: undefined }
    groups.set(host, present)
    present.apps.set(one.app, one)
    for (const name of serverNames) present.names.set(name, one)
    if (serverNames.length === 0) present.rest ??= one
  }
}

function tellWider(before: NamedListener, now: NamedListener): void {
  const isNamed = before.listener.serverNames.length + now.listener.serverNames.length > 0 && before.app !== now.app
  if (!isNamed) tell(now, `is already ${called(before)}`, once)
  else {
    const where = `where it listens on ${listenAddressText(before.listener)}`
    tell(now, `is already ${called(before)}, ${where}`, "listen on the same address to share the port")
  }
}

function tellClash({ first, apps, names, rest }: Group, now: NamedListener): void {
  const { app, listener } = now
  const own = apps.get(app)
  if (own !== undefined) return tell(now, `is already ${called(own)}`, once)
  if (listener.serverNames.length === 0 && rest !== undefined) {
    return tell(now, `is already ${called(rest)}`, `${once}, or share it by "server-names"`)
  }
  const name = listener.serverNames.find((one) => names.has(one))
  if (name !== undefined)
    return tell(now, `takes ${name}, as does ${called(names.get(name) as NamedListener)}`, "leave one out")
  for (const [key, spelled] of [
    ["proxyProtocol", "proxy-protocol"],
    ["proxyFrom", "proxy-from"],
    ["backlog", "backlog"],
  ] as const) {
    if (isDeepStrictEqual(first.listener[key], listener[key])) continue
    return tell(now, `has another "${spelled}" than ${called(first)}`, "one listener has one: make them alike")
  }
}

const once = "each port can stand in the file once"

function called({ app, value }: NamedListener): string {
  return `one of ${JSON.stringify(app)}, at ${placeText(value.place)}`
}

function tell({ app, listener, value }: NamedListener, what: string, mend: string): void {
  value.wrong(`port ${listener.port} of ${JSON.stringify(app)} ${what}`, mend)
}

/** Whether the system refuses to listen on both. */
function overlaps(a: ListenerSettings, b: ListenerSettings): boolean {
  return covers(a.host, b.host) || covers(b.host, a.host)
}

function covers(wide: string | undefined, host: string | undefined): boolean {
  // `::` takes IPv4 too.
  if (wide === undefined || wide === "::") return true
  return wide === "0.0.0.0" && (host === undefined || isIPv4(host))
}
