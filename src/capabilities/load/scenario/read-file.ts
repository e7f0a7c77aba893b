/**
 * A scenario in YAML or JSON: its keys are the names of the flags, and `target` or `targets`, or `config` with the path of a
 * file of Apps. Paths are relative to the file.
 */

import { dirname, isAbsolute, join } from "node:path"
import { RdvError } from "../../../base/error.ts"
import type { ConfigDocument } from "../../../config/document.ts"
import { placeText } from "../../../config/problems.ts"
import type { ConfigFields, ConfigValue } from "../../../config/value.ts"
import { readExpectation } from "./answer-text.ts"
import { options } from "./options.ts"
import type { OptionReader } from "./options.ts"
import { readTarget } from "./read-target.ts"
import type { Target } from "./scenario.ts"
import { bothForms, checkSequence, entryKeys, readTemplate, requestKeys, requestText } from "./sequence-file.ts"
import type { EntryKey } from "./sequence-file.ts"
import type { Given, SettingName, Settings, WrittenEntry } from "./settings.ts"

export interface ScenarioFile {
  /** Empty when none are named. */
  readonly targets: readonly Target[]
  /** The path of a file of Apps. */
  readonly config: Given<string> | undefined
  readonly settings: Settings
}

const optionNames = Object.keys(options) as SettingName[]

/** `$schema` is for editors. */
export const fileKeys: readonly string[] = ["$schema", "target", "targets", "config", ...optionNames]
export const targetKeys: readonly ["url", "label"] = ["url", "label"]

/** Throws `usage`; all problems of the file are found. */
export function readScenarioFile(document: ConfigDocument): ScenarioFile {
  const folder = dirname(document.file)
  const fields = document.root.fields(fileKeys)
  const settings: Record<string, unknown> = {}
  for (const name of optionNames) {
    const value = fields?.get(name)
    if (value === undefined) continue
    const read = readOption(name, value, folder)
    if (read !== undefined) settings[name] = { value: read, from: from(name, value) }
  }
  const targets = fields === undefined ? [] : readTargets(fields)
  const path = fields?.get("config")
  const config = path?.text()
  document.check()
  return {
    targets,
    config:
      path === undefined || config === undefined
        ? undefined
        : { value: isAbsolute(config) ? config : join(folder, config), from: from("config", path) },
    settings: settings as Settings,
  }
}

function from(name: string, value: ConfigValue): string {
  return `${placeText(value.place)}: "${name}"`
}

function readTargets(fields: ConfigFields<string>): readonly Target[] {
  const [one, all, config] = [fields.get("target"), fields.get("targets"), fields.get("config")]
  const given = [one, all, config].filter((value) => value !== undefined)
  for (const second of given.slice(1)) {
    second.wrong("targets are named twice", 'keep one of "target", "targets" and "config"')
  }
  const targets = [...(one === undefined ? [] : [readOneTarget(one)]), ...(all?.list(readOneTarget) ?? [])]
  return targets.filter((target) => target !== undefined)
}

function readOneTarget(value: ConfigValue): Target | undefined {
  if (value.kind !== "map") return value.read(readTarget)
  const fields = value.fields(targetKeys)
  const target = fields?.require("url")?.read(readTarget)
  const label = fields?.get("label")?.text()
  return target === undefined || label === undefined ? target : { ...target, label }
}

function readOption(name: SettingName, value: ConfigValue, folder: string): unknown {
  const option = options[name]
  if (option.kind === "switch") return value.boolean() === true ? true : undefined
  const reader = option.read as OptionReader<unknown>
  const read = (one: ConfigValue): unknown => one.read((text) => reader(text, folder))
  if (name === "sequence" && value.kind === "list") return readEntries(value)
  const join = value.kind === "map" ? joins[name] : undefined
  if (join !== undefined) {
    return value.entries((key, one) => one.read((text) => reader(`${key}${join}${text}`, folder)))
  }
  return option.kind === "list" ? value.oneOrMore(read) : read(value)
}

/** Lists that may be written as a map. */
const joins: Readonly<Partial<Record<SettingName, string>>> = { header: ": ", resolve: "=" }

function readEntries(value: ConfigValue): unknown {
  const entries = value.list((one): WrittenEntry | undefined => {
    if (one.kind !== "map") {
      const text = one.read(readTemplate)
      return text === undefined ? undefined : { weight: 1, text, request: false }
    }
    const fields = one.fields(entryKeys)
    const request = requestKeys.some((key) => fields?.get(key) !== undefined)
    const text = request ? readRequest(one, fields) : fields?.require("text")?.read(readTemplate)
    const weight = fields?.get("weight")?.number({ least: 0 }) ?? 1
    const expect = fields?.get("expect")?.read(readExpectation)
    if (text === undefined) return undefined
    return { weight, text, request, ...(expect === undefined ? {} : { expect }) }
  })
  if (entries === undefined) return undefined
  // Without one to choose there is nothing to send, unless that is because of what was told already.
  if (entries.length === 0) return undefined
  if (entries.every(({ weight }) => weight === 0)) {
    return value.wrong("no message has a weight above 0", "raise one")
  }
  return { kind: "sequence", entries: checkSequence(entries, "the sequence") }
}

function readRequest(one: ConfigValue, fields: ConfigFields<EntryKey> | undefined): string | undefined {
  try {
    if (fields?.get("text") !== undefined) throw bothForms()
    return requestText({
      method: fields?.get("method")?.text(),
      path: fields?.get("path")?.text(),
      body: fields?.get("body")?.text(),
      headers: fields?.get("headers")?.entries((name, value) => [name, value.text() ?? ""] as const),
    })
  } catch (error) {
    if (!(error instanceof RdvError)) throw error
    return one.wrong(error.message, error.mend ?? "change it")
  }
}
