/** Build folders: their version, what is written, and what is never overwritten. */

import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { utf8Encode } from "../../../base/text.ts"
import { buildFiles, readBuild, writeBuild } from "./build-folder.ts"
import type { Build, BuildPlace } from "./build-folder.ts"

const nowhere: BuildPlace = { app: null, relay: null, domain: null }

function build(code: string, asset = "a-1.wasm", place: BuildPlace = nowhere): Build {
  const path = "/.rdv/page-1.js"
  return buildFiles({
    runtime: {
      names: { page: path, worker: path, workerMain: path, boot: path, files: [path] },
      files: new Map([
        ["index.html", utf8Encode("<!doctype html>")],
        [".rdv/page-1.js", utf8Encode("1")],
      ]),
    },
    bundle: { code: utf8Encode(code), assets: new Map([[asset, utf8Encode("x")]]), inputs: [] },
    place,
  })
}

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rdv-build-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test("the version is that of the bytes: the same for the same, another one for any other file", () => {
  assert.equal(build("a").version, build("a").version)
  assert.notEqual(build("a").version, build("b").version)
  assert.notEqual(build("a").version, build("a", "a-2.wasm").version)
  const runtime = JSON.parse(Buffer.from(build("a").files.get(".rdv/runtime.json") as Uint8Array).toString()) as object
  assert.deepEqual(runtime, {
    version: build("a").version,
    page: "/.rdv/page-1.js",
    worker: "/.rdv/page-1.js",
    workerMain: "/.rdv/page-1.js",
    boot: "/.rdv/page-1.js",
    app: "/app.js",
    files: ["/.rdv/page-1.js", "/app.js", "/.rdv/a-1.wasm"],
  })
})

test("a build replaces an earlier one, with what that has left, and nothing else", (t) => {
  const folder = join(temporary(t), "deep", "site")
  writeBuild(folder, build("a"))
  assert.ok(existsSync(join(folder, ".rdv", "a-1.wasm")))
  writeBuild(folder, build("b", "a-2.wasm"))
  assert.deepEqual(readdirSync(join(folder, ".rdv")).toSorted(), ["a-2.wasm", "page-1.js", "runtime.json", "tab.json"])
  assert.equal(readFileSync(join(folder, "app.js"), "utf8"), "b")
  assert.deepEqual(new Set(readBuild(folder)?.keys()), new Set(build("b", "a-2.wasm").files.keys()))

  const other = temporary(t)
  writeFileSync(join(other, "thesis.txt"), "years of work")
  assert.throws(() => writeBuild(other, build("a")), /holds other files than a build/)
  assert.deepEqual(readdirSync(other), ["thesis.txt"])
  assert.throws(() => writeBuild(join(other, "thesis.txt"), build("a")), /is no folder/)
  assert.equal(readBuild(other), undefined)
})
