/** Values against a JSON Schema, as an editor looks at them. */

import assert from "node:assert/strict"
import type { Json, JsonObject } from "../../src/base/json.ts"
import { isJsonObject } from "../../src/base/json.ts"
import type { ConfigValue } from "../../src/config/value.ts"

/** What does not fit. Only the part of JSON Schema that ours use; anything else in one is an error here. */
export function misfits(value: Json, schema: JsonObject): string[] {
  return check(value, schema, "", schema)
}

function check(value: Json, rule: JsonObject, at: string, schema: JsonObject): string[] {
  const found: string[] = []
  for (const [word, wanted] of Object.entries(rule) as readonly (readonly [string, Json])[]) {
    if (["$schema", "$defs", "title", "description", "default", "examples", "required", "properties"].includes(word))
      continue
    if (word === "$ref") {
      const name = String(wanted).replace("#/$defs/", "")
      found.push(...check(value, (schema["$defs"] as JsonObject)[name] as JsonObject, at, schema))
    } else if (word === "anyOf") {
      if ((wanted as JsonObject[]).every((one) => check(value, one, at, schema).length > 0))
        found.push(`${at} fits none`)
    } else if (word === "enum") {
      if (!(wanted as Json[]).includes(value)) found.push(`${at} is none of ${JSON.stringify(wanted)}`)
    } else if (word === "type") {
      const type = Array.isArray(value) ? "array" : value === null ? "null" : typeof value
      const types = type === "number" && Number.isInteger(value) ? [type, "integer"] : [type]
      if (!types.some((one) => [wanted].flat().includes(one))) found.push(`${at} is a ${type}`)
    } else if (word === "pattern") {
      if (typeof value === "string" && !new RegExp(wanted as string, "u").test(value))
        found.push(`${at} fits no pattern`)
    } else if (word === "minimum" || word === "maximum") {
      const sign = word === "minimum" ? 1 : -1
      if (typeof value === "number" && sign * value < sign * (wanted as number)) found.push(`${at} is out of range`)
    } else if (word === "minLength" || word === "minItems") {
      const length = typeof value === "string" || Array.isArray(value) ? value.length : Infinity
      if (length < (wanted as number)) found.push(`${at} is too short`)
    } else if (word === "items") {
      if (Array.isArray(value))
        found.push(...value.flatMap((item: Json, index) => check(item, wanted as JsonObject, `${at}/${index}`, schema)))
    } else if (word === "additionalProperties") {
      if (!isJsonObject(value)) continue
      const properties = (rule["properties"] ?? {}) as JsonObject
      for (const [key, one] of Object.entries(value)) {
        const inner = (properties[key] ?? wanted) as JsonObject | false
        if (inner === false) found.push(`${at}/${key} is unknown`)
        else found.push(...check(one as Json, inner, `${at}/${key}`, schema))
      }
      for (const key of (rule["required"] ?? []) as string[]) if (!(key in value)) found.push(`${at}/${key} is missing`)
    } else assert.fail(`${word} in the schema is nothing that this test knows`)
  }
  return found
}

/** What an editor makes of the text. */
export function plainValue(value: ConfigValue): Json {
  switch (value.kind) {
    case "list":
      return value.list((item) => plainValue(item)) ?? []
    case "map":
      return Object.fromEntries(value.entries((key, one) => [key, plainValue(one)] as const) ?? [])
    case "number":
      return value.number() ?? null
    case "boolean":
      return value.boolean() ?? null
    case "text":
      return value.read((text) => text) ?? null
    case "nothing":
      return null
  }
}
