/** Holds the manual of the environment against what the code reads, both ways. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { readSource, repositoryFiles } from "./source-files.ts"

test("docs/reference/configuration.md tells each variable that the command line reads, and no other", () => {
  const sources = repositoryFiles().filter((file) => /^src\/.*(?<!\.test)\.ts$/.test(file))
  const read = sources.flatMap((file) =>
    [...readSource(file).matchAll(/(?:env: |env\[)"(RDV_[A-Z_]+)"/g)].map((match) => match[1] as string),
  )
  const rows = readSource("docs/reference/configuration.md").matchAll(/^\| `(RDV_[A-Z_]+)` \|/gm)
  const told = [...rows].map((match) => match[1] as string)
  assert.deepEqual(told.toSorted(), [...new Set(read)].toSorted())
})
