/** Holds the reader, the schema for editors and the manual of scenario files against each other. */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, test } from "node:test"
import { sampleApps, ScenarioDesk } from "../../../../test/kit/scenario-desk.ts"
import type { Json, JsonObject } from "../../../base/json.ts"
import { isJsonObject } from "../../../base/json.ts"
import { readDocument } from "../../../config/document.ts"
import type { ConfigValue } from "../../../config/value.ts"
import { options } from "./options.ts"
import { fileKeys, targetKeys } from "./read-file.ts"
import { entryKeys, requestKeys } from "./sequence-file.ts"
import type { EntryKey } from "./sequence-file.ts"

const reference = join(import.meta.dirname, "../../../../docs/reference")
const schema = JSON.parse(readFileSync(join(reference, "load-scenario.schema.json"), "utf8")) as JsonObject
const manual = readFileSync(join(reference, "load-scenario.md"), "utf8")
const examples = [...manual.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => text as string)

const desk = new ScenarioDesk()
after(() => desk[Symbol.dispose]())
desk.write("-----BEGIN CERTIFICATE-----\n", "authority.pem")
desk.write("0\n1\n", "times.csv")
desk.write('"a"\n', "all.jsonl")
desk.write("a", "body.bin")

/** The part of JSON Schema that ours uses; anything else in it is an error here. */
function misfits(value: Json, rule: JsonObject, at = ""): string[] {
  const found: string[] = []
  for (const [word, wanted] of Object.entries(rule) as readonly (readonly [string, Json])[]) {
    if (["$schema", "$defs", "title", "description", "default", "examples", "required", "properties"].includes(word))
      continue
    if (word === "$ref") {
      const name = String(wanted).replace("#/$defs/", "")
      found.push(...misfits(value, (schema["$defs"] as JsonObject)[name] as JsonObject, at))
    } else if (word === "anyOf") {
      if ((wanted as JsonObject[]).every((one) => misfits(value, one, at).length > 0)) found.push(`${at} fits none`)
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
        found.push(...value.flatMap((item: Json, index) => misfits(item, wanted as JsonObject, `${at}/${index}`)))
    } else if (word === "additionalProperties") {
      if (!isJsonObject(value)) continue
      const properties = (rule["properties"] ?? {}) as JsonObject
      for (const [key, one] of Object.entries(value)) {
        const inner = (properties[key] ?? wanted) as JsonObject | false
        if (inner === false) found.push(`${at}/${key} is unknown`)
        else found.push(...misfits(one as Json, inner, `${at}/${key}`))
      }
      for (const key of (rule["required"] ?? []) as string[]) if (!(key in value)) found.push(`${at}/${key} is missing`)
    } else assert.fail(`${word} in the schema is nothing that this test knows`)
  }
  return found
}

/** What an editor makes of the text. */
function plain(value: ConfigValue): Json {
  switch (value.kind) {
    case "list":
      return value.list((item) => plain(item)) ?? []
    case "map":
      return Object.fromEntries(value.entries((key, one) => [key, plain(one)] as const) ?? [])
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

function fits(text: string): string[] {
  return misfits(plain(readDocument(text, { file: "x.yaml" }).root), schema)
}

test("every example of the manual is read, and fits the schema", () => {
  assert.ok(examples.length >= 3)
  for (const text of examples) {
    assert.deepEqual(desk.complaints(desk.write(text)), [], text)
    assert.deepEqual(fits(text), [], text)
  }
})

test("the schema has the keys of the reader and no other, and refuses others as the reader does", () => {
  assert.deepEqual(Object.keys(schema["properties"] as JsonObject), fileKeys)
  const wrong = [
    "target: tcp://a:1\nrat: 5",
    "targets: [{url: tcp://a:1, lable: x}]",
    "target: tcp://a:1\nsequence: [{text: a, wait: 1}]",
  ]
  for (const text of wrong) {
    assert.match(desk.complaints(desk.write(text)).join(), /is not a key that is known here/, text)
    assert.notDeepEqual(fits(text), [], text)
  }
  const defined = schema["$defs"] as { readonly [name: string]: JsonObject }
  const maps = [
    ...JSON.stringify([schema["properties"], defined]).matchAll(/"required":\["(\w+)"\],"properties":(\{)/g),
  ]
  assert.deepEqual(new Set(maps.map(([, required]) => required)), new Set(["text", "url"]))
  for (const key of [...targetKeys, ...entryKeys]) {
    const place = targetKeys.includes(key as "url")
      ? `targets: [{url: "tcp://a:1"`
      : requestKeys.includes(key as EntryKey)
        ? `target: http://a:1\nsequence: [{weight: 1`
        : `target: tcp://a:1\nsequence: [{text: "a"`
    const value = key === "weight" ? 2 : key === "headers" ? '{Accept: "text/html"}' : "echo"
    const text = `${place}${key === "url" || key === "text" ? "" : `, ${key}: ${value}`}}]`
    assert.deepEqual([...desk.complaints(desk.write(text)), ...fits(text)], [], text)
  }
})

test("the schema and the manual tell each option's meaning and default", () => {
  const properties = schema["properties"] as { readonly [key: string]: JsonObject }
  const rows = [...manual.matchAll(/^\| `([a-z-]+)` \| [^|]+ \| (?:`([^`]+)`)? ?\| (.+) \|$/gm)]
  assert.deepEqual(
    rows.map(([, name]) => name),
    Object.keys(options),
  )
  for (const [, name = "", value, summary] of rows) {
    const option = options[name as keyof typeof options]
    const fallback = "default" in option ? option.default : undefined
    assert.equal(summary, option.summary, name)
    assert.equal(value, fallback, name)
    assert.equal(properties[name]?.["description"], option.summary, name)
    assert.equal(properties[name]?.["default"], fallback, name)
  }
})

test("what the reader takes, the schema takes too", () => {
  const tcp = "target: tcp://a:1\n"
  const good = [
    "$schema: x.json\ntarget: TLS://[::1]:1\ninsecure: true\nserver-name: a",
    "target: unix:/run/x\neach: 5\nburst: 10 every 1s\nlifetime: 1m30s",
    `${tcp}rate: 5\nmax-rate: 5000/m\nqueue-limit: 5\nconnections: 7\ncount: 9`,
    `${tcp}rate: 0.5\nwhen-busy: drop\narrivals: even\nmodel: open\ndrain: 0\nthink: 0`,
    `${tcp}phase: sine 5 ± 2 every 1s for 1m\nsize: 1.5 KiB\nread-rate: 100\nwrite-rate: 8Mbit/s`,
    `${tcp}rate: replay times.csv\nfile: body.bin\nframing: length:4\nexpect: size:5`,
    `${tcp}connections: saw-tooth 0..5 every 1s\nmodel: closed\nhex: 00\nexpect: /a b/is`,
    `${tcp}sequence: all.jsonl\nwarm-up: 250us\ntimeout: 1h\nconnect-timeout: 2s\npause-before: 1s\npause-after: 2s`,
    `${tcp}message: 5\nseed: 0\nresolve: a=127.0.0.1`,
    "targets: [http://a/, {url: https://b, label: c}]\nheader: 'a: b'\nmethod: put\nbody: '@body.bin'\nexpect: status",
    "target: http://a/\nheader: {a: b, c: 5}\nbody: x\nexpect: echo\nfail: [p99<1s]\nstop-when: [errors>5%]\nname: n",
  ]
  for (const text of good) {
    assert.deepEqual(desk.complaints(desk.write(text)), [], text)
    assert.deepEqual(fits(text), [], text)
  }
  desk.write(sampleApps, "config.json")
  const all = [...good, ...examples, "config: config.json\nhost: localhost"]
  const used = new Set(all.flatMap((text) => [...text.matchAll(/^([a-z-]+|\$schema):/gm)].map(([, key]) => key)))
  assert.deepEqual(
    fileKeys.filter((key) => !used.has(key)),
    [],
    "keys that nothing here tries",
  )
})
