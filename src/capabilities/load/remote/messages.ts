/**
 * What who starts a run and a generator elsewhere say to each other, each message one line of JSON (`json-lines.ts`):
 *
 *     plan ──▶          start ──▶                        stop, cut ──▶
 *              ◀── ready          ◀── interval …                       ◀── done
 *              ◀── failed, at any time in place of the next one
 *
 * Both sides read strictly: each is written by somebody else, maybe by another version.
 */

import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { ThreadTask } from "../engine/generator-thread.ts"

/** Of the messages. Another version is refused before anything is done. */
export const remoteVersion = 1

/** The private name of a generator that is called `name`. */
export function serviceOf(name: string): string {
  return `load/${name}`
}

/** Throws `usage`. */
export function checkGeneratorName(name: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name)) return name
  throw new RdvError("usage", `${JSON.stringify(name.slice(0, 80))} is no name of a generator`, {
    mend: "use up to 63 of a-z, 0-9, ., _ and -",
  })
}

export type ToGenerator =
  /** `task` is not checked yet. */
  | { readonly kind: "plan"; readonly scenario: unknown; readonly share: ThreadTask["share"] }
  | { readonly kind: "start" }
  | { readonly kind: "stop" | "cut"; readonly reason: string }

export type FromGenerator =
  | { readonly kind: "ready"; readonly host: string; readonly cores: number }
  /** Not checked yet. */
  | { readonly kind: "interval"; readonly interval: unknown }
  | { readonly kind: "done"; readonly reason: string }
  | { readonly kind: "failed"; readonly message: string; readonly mend: string | undefined }

/** Why a generator ended by itself: its owner lets it run no longer. */
export const longestReason = "longest duration"

/** Generators that share a plan. */
export const mostGenerators = 256

/** Throws `protocol`. */
export function readToGenerator(json: JsonObject): ToGenerator {
  const { kind } = json
  switch (kind) {
    case "plan": {
      const share = json["share"] as JsonObject | null | undefined
      const [index, of] = [share?.["index"], share?.["of"]]
      if (!isWhole(of) || of < 1 || of > mostGenerators || !isWhole(index) || index >= of) throw wrong("share")
      return { kind, scenario: json["scenario"], share: { index, of } }
    }
    case "start":
      return { kind }
    case "stop":
    case "cut":
      return { kind, reason: text(json, "reason", 500) }
    default:
      throw wrong("kind")
  }
}

/** Throws `protocol`. */
export function readFromGenerator(json: JsonObject): FromGenerator {
  const { kind } = json
  switch (kind) {
    case "ready": {
      const { cores } = json
      if (!isWhole(cores) || cores > 100_000) throw wrong("cores")
      return { kind, host: text(json, "host", 255), cores }
    }
    case "interval":
      return { kind, interval: json["interval"] }
    case "done":
      return { kind, reason: text(json, "reason", 500) }
    case "failed":
      return {
        kind,
        message: text(json, "message", 2000),
        mend: json["mend"] === undefined ? undefined : text(json, "mend", 2000),
      }
    default:
      throw wrong("kind")
  }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function text(json: JsonObject, key: string, most: number): string {
  const value = json[key]
  if (typeof value !== "string" || value.length > most) throw wrong(key)
  return value
}

function wrong(key: string): RdvError {
  return new RdvError("protocol", `"${key}" of a message is missing or wrong`)
}
