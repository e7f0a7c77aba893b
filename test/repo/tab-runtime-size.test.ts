/** What a visitor of an application loads before it, without SQLite, which is most of it. */

import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { gzipSync } from "node:zlib"
import { bundleTabRuntime } from "../../scripts/tab-runtime.mjs"

interface Parts {
  readonly page: string
  readonly worker: string
  readonly workerMain: string
}

test("the runtime of a tab's server stays small", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-tab-runtime-"))
  t.after(() => rmSync(folder, { recursive: true }))
  bundleTabRuntime({ target: folder })
  const parts = JSON.parse(readFileSync(join(folder, "runtime.json"), "utf8")) as Parts
  const seen = new Set<string>()
  /** Of the file and everything that it imports from the start, gzipped. */
  const bytesOf = (path: string): number => {
    if (seen.has(path)) return 0
    seen.add(path)
    const bytes = readFileSync(join(folder, path))
    const imports = bytes.toString().matchAll(/(?:^|[;}])import(?:[^"'();]*from)?\s*"(\/\.rdv\/[^"]+)"/g)
    return gzipSync(bytes).length + [...imports].reduce((sum, [, imported]) => sum + bytesOf(imported as string), 0)
  }
  const router = bytesOf("/rdv-sw.js")
  const page = bytesOf(parts.page)
  const all = router + page + bytesOf(parts.worker) + bytesOf(parts.workerMain)
  t.diagnostic(`service worker ${router}, page ${page}, all ${all} bytes`)
  assert.ok(router < 4608, `the service worker has ${router} bytes`)
  assert.ok(page < 9216, `the page agent has ${page} bytes`)
  assert.ok(all < 40_000, `all of it has ${all} bytes`)
})
