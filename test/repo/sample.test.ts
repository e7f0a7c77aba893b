import assert from "node:assert/strict"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { readSettings } from "../../src/capabilities/balance/config/read-settings.ts"
import { readDocumentFile } from "../../src/config/document.ts"

const sample = join(import.meta.dirname, "../../sample")

test("the sample site is small and loads nothing from elsewhere", () => {
  let size = 0
  for (const name of readdirSync(sample)) {
    const text = readFileSync(join(sample, name), "utf8")
    size += text.length
    const addresses = [...text.matchAll(/\b(?:https?:)?\/\/[\w.-]+/g)].map((match) => match[0])
    assert.deepEqual(
      addresses.filter((address) => address !== "http://www.w3.org"),
      [],
      name,
    )
  }
  assert.ok(size < 30_000, `${size} bytes`)
})

test("every file that the sample names is there", () => {
  const page = readFileSync(join(sample, "index.html"), "utf8")
  const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => String(match[1]))
  assert.ok(named.length >= 3)
  for (const name of named.concat("pulse.txt")) assert.ok(existsSync(join(sample, name)), name)
})

test("the balancer's sample has three apps of four ports, and is taken as it is", () => {
  const { apps } = readSettings(readDocumentFile(join(sample, "balance.json")))
  assert.deepEqual(
    apps.map(({ name, listeners }) => [name, ...listeners.map(({ port }) => port)]),
    [
      ["five-thousand", 5001, 5200, 5300, 5400],
      ["six-thousand", 6001, 6200, 6300, 6400],
      ["seven-thousand", 7001, 7200, 7300, 7400],
    ],
  )
})
