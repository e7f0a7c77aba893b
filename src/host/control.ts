/**
 * The messages of the `control` service: what an agent asks of its relay and what it hears back (docs/protocol.md,
 * section 9.1). Both sides read them strictly: each is written by somebody else.
 */

import { codeFromNumber, RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import { isJsonObject } from "../base/json.ts"
import type { JsonObject } from "../base/json.ts"
import type { Exposure } from "./host.ts"

export const controlService = "control"

/** Refusals that may be otherwise in a moment: a port is freed, a limit is no longer reached. The agent asks again. */
export const passingRefusals: ReadonlySet<ErrorCode> = new Set([
  "limit",
  "internal",
  "in_use",
  "timeout",
  "rate_limited",
])

export interface Announce {
  readonly do: "announce"
  /** Chosen by the agent; answers carry it. */
  readonly id: number
  readonly service: string
  readonly expose: Exposure
}

export interface Withdraw {
  readonly do: "withdraw"
  readonly id: number
}

export interface ExposedMessage {
  readonly do: "exposed"
  readonly id: number
  readonly url: string
  readonly name: string
}

export interface RefusedMessage {
  readonly do: "refused" | "withdrawn"
  readonly id: number
  readonly code: ErrorCode
  readonly reason: string
}

/** Reads what an agent sent. Throws `protocol`. */
export function readAgentMessage(json: JsonObject): Announce | Withdraw {
  const id = number(json, "id")
  if (json["do"] === "withdraw") return { do: "withdraw", id }
  if (json["do"] !== "announce") throw wrong("do")
  return { do: "announce", id, service: text(json, "service", 100), expose: readExposure(json["expose"]) }
}

/** Reads what a relay sent. Throws `protocol`. */
export function readRelayMessage(json: JsonObject): ExposedMessage | RefusedMessage {
  const id = number(json, "id")
  const verb = json["do"]
  if (verb === "exposed") return { do: verb, id, url: text(json, "url", 512), name: text(json, "name", 100) }
  if (verb !== "refused" && verb !== "withdrawn") throw wrong("do")
  return { do: verb, id, code: codeFromNumber(number(json, "code")), reason: text(json, "reason", 512) }
}

function readExposure(json: unknown): Exposure {
  if (!isJsonObject(json)) throw wrong("expose")
  const seed = json["seed"] === undefined ? {} : { seed: text(json, "seed", 256) }
  switch (json["kind"]) {
    case "http": {
      const name = json["name"] === undefined ? {} : { name: text(json, "name", 100) }
      const epoch = json["epoch"] === undefined ? {} : { epoch: number(json, "epoch", Number.MAX_SAFE_INTEGER) }
      return { kind: "http", ...seed, ...name, ...epoch }
    }
    case "tcp": {
      const port = number(json, "port")
      if (port > 65535) throw wrong("port")
      return { kind: "tcp", port, ...seed }
    }
    case "private": {
      const { shared } = json
      if (shared !== undefined && typeof shared !== "boolean") throw wrong("shared")
      return { kind: "private", name: text(json, "name", 100), ...(shared === true && { shared }) }
    }
    default:
      throw wrong("kind")
  }
}

function text(json: JsonObject, key: string, most: number): string {
  const value = json[key]
  if (typeof value !== "string" || value.length === 0 || value.length > most) throw wrong(key)
  return value
}

function number(json: JsonObject, key: string, most = 2 ** 32): number {
  const value = json[key]
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > most) throw wrong(key)
  return value
}

function wrong(key: string): RdvError {
  return new RdvError("protocol", `"${key}" of a control message is missing or wrong`)
}
