/**
 * The public `Apps/Ports/Targets` file: what a TCP load balancer listens on and where it leads to. Keys are matched
 * whether capital or small, as readers of this form do.
 */

import type { ConfigDocument } from "./document.ts"
import { readHostPort } from "./host-port.ts"
import type { HostPort } from "./host-port.ts"
import { placeText } from "./problems.ts"
import type { Place } from "./problems.ts"
import type { ConfigValue } from "./value.ts"

export interface App {
  /** For people; need not be the only one of its name. */
  readonly name: string
  /** Listened on; each occurs once in the whole file. */
  readonly ports: readonly number[]
  /** Need not exist. */
  readonly targets: readonly HostPort[]
}

/** Whether the document has this form. */
export function isAppsDocument({ root }: ConfigDocument): boolean {
  return root.hasKey("Apps")
}

/** Throws `usage`; all problems of the file are found. */
export function readApps(document: ConfigDocument): readonly App[] {
  const taken: Taken = new Map()
  const apps = document.root
    .fields(["Apps"], { anyCase: true })
    ?.require("Apps")
    ?.list((value) => readApp(value, taken))
  document.check()
  return apps ?? []
}

type Taken = Map<number, { readonly name: string; readonly place: Place }>

function readApp(value: ConfigValue, taken: Taken): App | undefined {
  const fields = value.fields(["Name", "Ports", "Targets"], { anyCase: true })
  const name = fields?.require("Name")?.text()
  const ports = fields?.require("Ports")?.list((port) => readPort(port, name ?? "?", taken))
  const targets = fields?.require("Targets")?.list((target) => {
    const text = target.text()
    return text === undefined ? undefined : target.read(readHostPort)
  })
  if (name === undefined || ports === undefined || targets === undefined) return undefined
  return { name, ports, targets }
}

function readPort(value: ConfigValue, name: string, taken: Taken): number | undefined {
  const port = value.number({ least: 1, most: 65_535, whole: true })
  if (port === undefined) return undefined
  const before = taken.get(port)
  if (before !== undefined) {
    const what = `port ${port} of ${JSON.stringify(name)} is already one of ${JSON.stringify(before.name)}`
    return value.wrong(`${what}, at ${placeText(before.place)}`, "each port can stand in the file once")
  }
  taken.set(port, { name, place: value.place })
  return port
}
