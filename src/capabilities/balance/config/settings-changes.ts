/** What another configuration changes, for people: one line each, in the order of the file. */

import { isDeepStrictEqual } from "node:util"
import { addressText } from "../target/target.ts"
import { listenAddressText } from "./address-forms.ts"
import type { AppSettings, Settings } from "./settings.ts"

/** Empty: they say the same. */
export function settingsChanges(before: Settings, after: Settings): string[] {
  const lines = changedKeys(before, after, ["apps"]).map((key) => `${key} changed`)
  const old = new Map(before.apps.map((app) => [app.name, app]))
  for (const app of after.apps) {
    const known = old.get(app.name)
    old.delete(app.name)
    if (known === undefined) lines.push(`app ${app.name}: added`)
    else lines.push(...appChanges(known, app).map((line) => `app ${app.name}: ${line}`))
  }
  for (const name of old.keys()) lines.push(`app ${name}: removed`)
  return lines
}

function appChanges(before: AppSettings, after: AppSettings): string[] {
  return [
    ...listChanges("port", before.listeners, after.listeners, (one) => String(listenAddressText(one))),
    ...listChanges("target", before.targets, after.targets, ({ address }) => addressText(address)),
    ...changedKeys(before, after, ["name", "listeners", "targets"]).map((key) => `${key} changed`),
  ]
}

function listChanges<Item>(
  what: string,
  before: readonly Item[],
  after: readonly Item[],
  nameOf: (item: Item) => string,
): string[] {
  const old = new Map(before.map((item) => [nameOf(item), item]))
  const lines: string[] = []
  for (const item of after) {
    const name = nameOf(item)
    const known = old.get(name)
    old.delete(name)
    if (known === undefined) lines.push(`${what} ${name} added`)
    else if (!isDeepStrictEqual(known, item)) lines.push(`${what} ${name} changed`)
  }
  for (const name of old.keys()) lines.push(`${what} ${name} removed`)
  return lines
}

/** As the file spells them. */
function changedKeys<Of extends object>(before: Of, after: Of, without: readonly (keyof Of)[]): string[] {
  return (Object.keys(after) as (keyof Of)[])
    .filter((key) => !without.includes(key) && !isDeepStrictEqual(before[key], after[key]))
    .map((key) => spellings.get(String(key)) ?? hyphened(String(key)))
}

/** Where the file has another word. */
const spellings: ReadonlyMap<string, string> = new Map([
  ["resolveMs", "resolve-every"],
  ["removedDrainMs", "drain"],
  ["onRemoved", "removed"],
  ["onDown", "down"],
  ["retry", "retries"],
])

/** `slowStartMs` is `slow-start`. */
function hyphened(key: string): string {
  return key.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
