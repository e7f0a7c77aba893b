/** The effective configuration as a file: what is printed reads back as the same settings. */

import { isDeepStrictEqual } from "node:util"
import { documentText } from "../../../config/write-document.ts"
import { hostPortText } from "../../../config/host-port.ts"
import { addressText } from "../target/target.ts"
import type { Plain } from "./form.ts"
import { writeApp } from "./app-form.ts"
import { writeRoot } from "./settings-form.ts"
import type { AppSettings, Settings } from "./settings.ts"

export interface WriteOptions {
  /** Defaults are told, too. */
  readonly all?: boolean
}

/** YAML. */
export function writeSettings(settings: Settings, options: WriteOptions = {}): string {
  return documentText(settingsDocument(settings, options))
}

/** The same as plain data, for JSON. */
export function settingsDocument(
  settings: Settings,
  { all = false }: WriteOptions = {},
): { readonly [key: string]: Plain } {
  const { apps, ...root } = writeRoot(settings, all)
  return { ...root, ...withDefaults(apps as readonly WrittenApp[]) }
}

type WrittenApp = { readonly [key: string]: Plain }

/** What all apps say alike is said once. */
function withDefaults(apps: readonly WrittenApp[]): { readonly [key: string]: Plain } {
  const [first] = apps
  if (first === undefined || apps.length === 1) return { apps }
  const alike = Object.keys(first).filter(
    (key) => !ownKeys.includes(key) && apps.every((app) => isDeepStrictEqual(app[key], first[key])),
  )
  if (alike.length === 0) return { apps }
  const rest = apps.map((app) => Object.fromEntries(Object.entries(app).filter(([key]) => !alike.includes(key))))
  return { defaults: Object.fromEntries(alike.map((key) => [key, first[key] as Plain])), apps: rest }
}

const ownKeys: readonly string[] = ["name", "ports", "listen", "targets"]

export interface SimpleForm {
  /** `{"Apps": …}`. */
  readonly json: string
  /** One line for each thing that this form has no words for. */
  readonly losses: readonly string[]
}

/** The public form, as far as it goes. */
export function simpleForm(settings: Settings): SimpleForm {
  const losses: string[] = []
  const { apps: _apps, ...root } = writeRoot(settings, false)
  for (const key of Object.keys(root)) losses.push(`${key} of the whole file`)
  const taken = new Set<number>()
  const apps = settings.apps.flatMap((app) => {
    const simple = simpleApp(app, taken, (what) => losses.push(`${JSON.stringify(app.name)}: ${what}`))
    return simple === undefined ? [] : [simple]
  })
  return { json: `${JSON.stringify({ Apps: apps }, undefined, 2)}\n`, losses }
}

function simpleApp(
  app: AppSettings,
  taken: Set<number>,
  lose: (what: string) => void,
): { Name: string; Ports: readonly number[]; Targets: readonly string[] } | undefined {
  const written = writeApp(app, false)
  for (const key of Object.keys(written)) if (!ownKeys.includes(key)) lose(key)
  const ports: number[] = []
  for (const { host, port, serverNames } of app.listeners) {
    if (host !== undefined) lose(`the address of ${hostPortText({ host, port })}: the port is on all addresses`)
    if (serverNames.length > 0) lose(`server-names of port ${port}`)
    if (taken.has(port)) lose(`port ${port}, which another app has`)
    else ports.push(port)
    taken.add(port)
  }
  for (const one of (written["listen"] ?? []) as readonly Plain[]) {
    if (typeof one !== "object") continue
    const keys = Object.keys(one).filter((key) => key !== "address" && key !== "server-names")
    if (keys.length > 0) lose(`${keys.join(", ")} of a listener`)
  }
  const targets: string[] = []
  for (const { address, disabled, weight } of app.targets) {
    const name = addressText(address)
    if (address.kind !== "tcp") lose(`the target ${name}`)
    else if (disabled || weight === 0) lose(`the target ${name}, which gets nothing new`)
    else targets.push(name)
  }
  for (const one of (written["targets"] ?? []) as readonly Plain[]) {
    if (typeof one !== "object") continue
    const { address, disabled: _none, ...keys } = one as { readonly [key: string]: Plain }
    if (Object.keys(keys).length > 0) lose(`${Object.keys(keys).join(", ")} of ${address as string}`)
  }
  if (ports.length > 0 && targets.length > 0) return { Name: app.name, Ports: ports, Targets: targets }
  lose(`the app, which has no ${ports.length === 0 ? "port" : "target"} left`)
  return undefined
}
