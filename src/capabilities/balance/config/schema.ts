/** What describes the file to editors (JSON Schema) and to readers of the manual (tables of keys). */

import type { JsonObject } from "../../../base/json.ts"
import { accessRulesSchema } from "./access-form.ts"
import { describeBase } from "./app-form.ts"
import type { KeyRow } from "./form.ts"
import { listener } from "./listener-form.ts"
import { describeRoot } from "./settings-form.ts"
import { target } from "./target-form.ts"

/** JSON Schema, 2020-12. */
export function settingsSchema(): JsonObject {
  const [root, base] = [describeRoot().schema["properties"] as JsonObject, describeBase().schema]
  const refs = Object.fromEntries(Object.keys(base).map((key) => [key, { $ref: `#/$defs/app-${key}` }]))
  const [name, ports, targets, apps] = [
    { description: "For logs, metrics and the admin API", type: "string", minLength: 1 },
    {
      description: "Listened on, on all addresses of this machine",
      anyOf: [port, { type: "array", minItems: 1, items: port }],
    },
    {
      description: "Where connections go",
      anyOf: [ref("target"), { type: "array", minItems: 1, items: ref("target") }],
    },
    { description: "What is balanced", type: "array", minItems: 1, items: ref("app") },
  ]
  const listen = {
    description: "Listened on: ports, host:port, or maps",
    anyOf: [ref("listener"), { type: "array", minItems: 1, items: ref("listener") }],
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of a TCP balancer",
    description: "What rdv balance reads from a YAML or JSON file. Keys count whether capital or small.",
    type: "object",
    additionalProperties: false,
    properties: {
      $schema: { type: "string", description: "Where this schema is, for editors" },
      apps,
      Apps: apps,
      defaults: {
        description: "What holds for all apps that say nothing else",
        type: "object",
        additionalProperties: false,
        properties: refs,
      },
      ...root,
    },
    $defs: {
      app: {
        type: "object",
        additionalProperties: false,
        properties: { name, Name: name, ports, Ports: ports, listen, targets, Targets: targets, ...refs },
      },
      listener: listener.schema,
      target: target.schema,
      "access-rules": accessRulesSchema,
      ...Object.fromEntries(Object.entries(base).map(([key, schema]) => [`app-${key}`, schema])),
    },
  }
}

const port = { type: "integer", minimum: 1, maximum: 65_535 }

function ref(name: string): JsonObject {
  return { $ref: `#/$defs/${name}` }
}

export interface KeyTable {
  /** Of the map that has these keys: `app`, `timeouts`. */
  readonly title: string
  /** Markdown. */
  readonly lines: readonly string[]
}

/** For the manual: a table for each map. */
export function keyTables(): readonly KeyTable[] {
  const found: KeyTable[] = []
  const add = (title: string, rows: readonly KeyRow[]) => {
    if (rows.length === 0 || found.some((table) => table.title === title)) return
    const lines = rows.map(({ key, placeholder, fallback, summary }) => {
      const shown =
        fallback === undefined || fallback === ""
          ? ""
          : ` \`${typeof fallback === "string" ? fallback : JSON.stringify(fallback)}\``
      return `| \`${key}\` | ${placeholder.replaceAll("|", "\\|")} |${shown} | ${summary} |`
    })
    found.push({ title, lines: ["| key | value | default | what it is |", "| --- | --- | --- | --- |", ...lines] })
    const inner = ["app", "root", "listener"].includes(title)
    for (const row of rows) add(inner ? row.key : `${title}: ${row.key}`, row.keys)
  }
  add("root", describeRoot().keys)
  add("app", describeBase().keys)
  add("listener", listener.keys ?? [])
  add("target", target.keys ?? [])
  return found
}
