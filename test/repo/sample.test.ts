import assert from "node:assert/strict"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"

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
