/** Fields of a status that another process told, maybe one of another version: what is missing reads as nothing. */

import { isJsonObject } from "../base/json.ts"
import type { Json, JsonObject } from "../base/json.ts"
import { printable } from "./output.ts"

export function branch(of: JsonObject, key: string): JsonObject | undefined {
  const value = of[key]
  return isJsonObject(value) ? value : undefined
}

export function list(of: JsonObject, key: string): JsonObject[] {
  const value = of[key]
  return Array.isArray(value) ? (value as Json[]).filter(isJsonObject) : []
}

export function text(of: JsonObject, key: string): string {
  const value = of[key]
  return typeof value === "string" ? printable(value) : "?"
}

export function number(of: JsonObject, key: string): number {
  const value = of[key]
  return typeof value === "number" ? value : 0
}
