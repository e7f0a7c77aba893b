/** Holds the reader, the schema for editors and the manual against each other. */

import assert from "node:assert/strict"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { misfits, plainValue } from "../../../../test/kit/json-schema.ts"
import { readDocument } from "../../../config/document.ts"
import { readSettings } from "./read-settings.ts"
import { keyTables, settingsSchema } from "./schema.ts"

const docs = join(import.meta.dirname, "../../../../docs")
const manual = readFileSync(join(docs, "reference/balance-config.md"), "utf8")

test("the schema in the manual is the reader's", () => {
  const written = JSON.parse(readFileSync(join(docs, "reference/balance-config.schema.json"), "utf8")) as unknown
  assert.deepEqual(written, settingsSchema(), "write it again: rdv balance check --schema")
})

test("the manual has every key with its value, its default and what it is", () => {
  for (const { title, lines } of keyTables())
    assert.ok(manual.includes(lines.join("\n")), `${title}\n${lines.join("\n")}`)
})

test("every example of the documents is read, and fits the schema", () => {
  let count = 0
  for (const file of globSync("**/*.md", { cwd: docs })) {
    for (const [, text = ""] of readFileSync(join(docs, file), "utf8").matchAll(
      /^```(?:yaml|json)\n([\s\S]*?)^```$/gm,
    )) {
      if (!/^\s*\{?\s*"?(apps|defaults)"?:/im.test(text) || file.includes("load")) continue
      count++
      // What shows a part only has no apps.
      const whole = /apps"?:/i.test(text) ? text : `${text}\napps: [{name: a, ports: 1, targets: "b:1"}]\n`
      const document = readDocument(whole, { file })
      readSettings(document)
      assert.deepEqual(misfits(plainValue(readDocument(whole, { file }).root), settingsSchema()), [], whole)
    }
  }
  assert.ok(count >= 6, `${count} examples`)
})

test("editors are told of keys that are unknown, as the reader tells them", () => {
  for (const text of [
    "apps: [{name: a, ports: 1, targets: b:1, polic: hash}]",
    "apps: [{name: a, ports: 1, targets: {address: b:1, wieght: 1}}]",
    "apps: [{name: a, ports: 1, targets: b:1, timeouts: {idel: 1s}}]",
    "apps: [{name: a, listen: {address: 1, tsl: {}}, targets: b:1}]",
    "app: []",
  ]) {
    const document = readDocument(text, { file: "b" })
    assert.throws(() => readSettings(document), { message: /is not a key that is known here/ }, text)
    assert.notDeepEqual(misfits(plainValue(document.root), settingsSchema()), [], text)
  }
})
