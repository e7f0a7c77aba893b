/** Holds the reader, the schema for editors and the manual of scenario files against each other. */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, test } from "node:test"
import { misfits, plainValue } from "../../../../test/kit/json-schema.ts"
import { sampleApps, ScenarioDesk } from "../../../../test/kit/scenario-desk.ts"
import type { JsonObject } from "../../../base/json.ts"
import { readDocument } from "../../../config/document.ts"
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

function fits(text: string): string[] {
  return misfits(plainValue(readDocument(text, { file: "x.yaml" }).root), schema)
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
