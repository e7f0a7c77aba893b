/**
 * From the words and flags of `rdv load` to a scenario:
 *
 *     rdv load tcp://localhost:7000        targets
 *     rdv load config.json 50              a file of Apps, and messages of each connection
 *     rdv load scenario.yaml --rate 500    a scenario; flags go before it
 */

import { isAbsolute, join } from "node:path"
import { RdvError } from "../../../base/error.ts"
import { isAppsDocument, readApps } from "../../../config/apps.ts"
import { readDocumentFile } from "../../../config/document.ts"
import { wholeFrom } from "../../../config/quantity.ts"
import { targetsOfApps } from "./apps-targets.ts"
import { buildScenario } from "./build-scenario.ts"
import { readFlags } from "./flags.ts"
import type { FlagValues } from "./flags.ts"
import { defaultOf } from "./options.ts"
import { readScenarioFile } from "./read-file.ts"
import { looksLikeTarget, readTarget } from "./read-target.ts"
import type { Scenario } from "./scenario.ts"
import { mergeSettings } from "./settings.ts"
import type { Settings } from "./settings.ts"

/** Paths are relative to `folder`, those in a file to the file. Throws `usage`. */
export function readScenario(words: readonly string[], flags: FlagValues, folder = ""): Scenario {
  const { places, each } = splitWords(words)
  const given = withEach(readFlags(flags, folder), each)
  const [first, ...others] = places
  if (first === undefined) {
    const mend = "name tcp://host:port, https://host/path, a scenario.yaml or a config.json"
    throw new RdvError("usage", "There is no target", { mend })
  }
  if (looksLikeTarget(first)) return buildScenario({ targets: places.map(readTarget), settings: given, ofApps: false })
  const [strange] = others
  if (strange !== undefined) {
    throw new RdvError("usage", `${JSON.stringify(strange)} stands behind ${first}, which is a file`, {
      mend: "name one file, or only targets",
    })
  }
  return readPath(isAbsolute(first) ? first : join(folder, first), given, first)
}

function readPath(path: string, flags: Settings, written: string): Scenario {
  // `localhost:8080` is no file's name; what it may be is better said than that there is no such file.
  if (/^[^/\\]+:\d{1,5}$/.test(written)) readTarget(written)
  const document = readDocumentFile(path)
  if (isAppsDocument(document)) {
    return buildScenario({ targets: targetsOfApps(readApps(document), hostOf(flags)), settings: flags, ofApps: true })
  }
  const { targets, config, settings: ofFile } = readScenarioFile(document)
  const settings = mergeSettings(ofFile, flags)
  if (config !== undefined) {
    const apps = readApps(readDocumentFile(config.value))
    return buildScenario({ targets: targetsOfApps(apps, hostOf(settings)), settings, ofApps: true })
  }
  if (targets.length > 0) return buildScenario({ targets, settings, ofApps: false })
  throw new RdvError("usage", `${path}:1:1: no target is named`, { mend: 'add "target: tcp://host:port"' })
}

function hostOf({ host }: Settings): string {
  return host?.value ?? defaultOf("host")
}

/** A number at the end says how many messages each connection sends. */
function splitWords(words: readonly string[]): {
  readonly places: readonly string[]
  readonly each: string | undefined
} {
  const last = words.at(-1)
  if (words.length < 2 || last === undefined || !/^\d+$/.test(last)) return { places: words, each: undefined }
  return { places: words.slice(0, -1), each: last }
}

function withEach(settings: Settings, each: string | undefined): Settings {
  if (each === undefined) return settings
  const from = `The number ${each} behind the target`
  if (settings.each !== undefined) {
    throw new RdvError("usage", `${from} says what --each says too`, { mend: "leave one out" })
  }
  return { ...settings, each: { from, value: wholeFrom(1, 1e12)(each) } }
}
