/** Bundles of applications: what goes in, what comes out, and what is said about mistakes. */

import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { pathToFileURL } from "node:url"
import type { RdvError } from "../../../base/error.ts"
import { problemsOf } from "../../../config/problems.ts"
import { AppBundler } from "./app-bundler.ts"
import type { AppBundle } from "./app-bundler.ts"
import { checkApp } from "./check-app.ts"

type Files = { readonly [path: string]: string | Uint8Array }

function folderWith(t: TestContext, files: Files): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "rdv-bundle-")))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  return folder
}

async function bundle(t: TestContext, files: Files, platform: "browser" | "node" = "browser"): Promise<AppBundle> {
  const folder = folderWith(t, files)
  const out = join(folder, "out")
  const bundler = await AppBundler.open({ file: join(folder, "app.ts"), platform, folder: out })
  try {
    const made = await bundler.bundle()
    await checkApp(made.code, "app.ts")
    return made
  } finally {
    await bundler.close()
  }
}

/** Each problem as its author sees it, without the folder. */
async function problems(t: TestContext, files: Files): Promise<string[]> {
  try {
    await bundle(t, files)
  } catch (error) {
    return problemsOf(error as RdvError).map(({ message, mend }) =>
      `${message}: ${mend}`.replace(/^.*?(?=\b(?:app|lib|other)\.ts:)/, ""),
    )
  }
  return []
}

async function load(made: AppBundle, folder: string): Promise<{ readonly fetch: (request: Request) => Response }> {
  mkdirSync(folder, { recursive: true })
  for (const [name, bytes] of made.assets) writeFileSync(join(folder, name), bytes)
  writeFileSync(join(folder, "app.mjs"), made.code)
  const module = (await import(pathToFileURL(join(folder, "app.mjs")).href)) as { default: never }
  return module.default
}

test("texts come as strings, pictures as bytes, programs as files; the same in Node and for browsers", async (t) => {
  const files: Files = {
    "app.ts": `
      import page from "./page.html"
      import picture from "./dot.png"
      import program from "./add.wasm"
      import script from "./client.js" with { type: "text" }
      import { visitorOf } from "rdv/tab"
      import { createRequire } from "./needs.cjs"
      export default { fetch: (request: Request) => Response.json({ page, picture: [...picture], program, script, kind: visitorOf(request).kind, createRequire }) }`,
    "page.html": "<h1>é</h1>",
    "dot.png": new Uint8Array([1, 2, 255]),
    "add.wasm": new Uint8Array([0, 97, 115, 109]),
    "client.js": "let x = 1\n",
    "needs.cjs": "exports.createRequire = 'common'",
  }
  for (const platform of ["browser", "node"] as const) {
    const made = await bundle(t, files, platform)
    const [name] = [...made.assets.keys()]
    assert.match(name ?? "", /^add-[A-Z0-9]{8}\.wasm$/)
    assert.deepEqual(made.inputs.filter((path) => /\.(?:html|png|wasm)$/.test(path)).length, 3)
    const folder = mkdtempSync(join(tmpdir(), "rdv-bundle-out-"))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const app = await load(made, folder)
    const answer = (await app.fetch(new Request("http://a/")).json()) as {
      program: string
    }
    const { program, ...rest } = answer
    assert.deepEqual(rest, {
      page: "<h1>é</h1>",
      picture: [1, 2, 255],
      script: "let x = 1\n",
      kind: "public",
      createRequire: "common",
    })
    if (platform === "browser") assert.equal(program, `/.rdv/${name}`)
    else assert.ok(program.startsWith("file:///") && program.endsWith(`/out/${name}`), program)
  }
})

test("each mistake has its file, line and column, and what mends it", async (t) => {
  const one = async (app: string, expected: RegExp, more: Files = {}): Promise<void> => {
    const told = await problems(t, { "app.ts": app, ...more })
    assert.equal(told.length, 1, told.join("\n"))
    assert.match(told[0] ?? "", expected)
    assert.doesNotMatch(told[0] ?? "", /\n/)
  }
  await one("export default {\n  fetch( {\n}\n", /^app\.ts:4:1: expected "\)" but found end of file: write \)$/)
  // The column counts characters, as editors do.
  await one('const é = "ü"; let x = ;\nexport default { fetch }', /^app\.ts:1:24: unexpected ";": /)
  await one(
    'import a from "./nope.ts"\nexport default a',
    /^app\.ts:1:15: there is no file "\.\/nope\.ts": check the path/,
  )
  await one(
    'import a from "@x/y/z"\nexport default a',
    /^app\.ts:1:15: there is no package "@x\/y\/z": npm install @x\/y$/,
  )
  await one(
    'import { readFile } from "node:fs"\nexport default { fetch: readFile }',
    /^app\.ts:1:26: "node:fs" is a part of Node, which no browser has: use env\.sql/,
  )
  await one(
    'import a from "fs/promises"\nexport default { fetch: a }',
    /^app\.ts:1:15: "fs\/promises" is a part of Node/,
  )
  await one(
    'import a from "./x.bin"\nexport default { fetch: a }',
    /^app\.ts:1:15: files that end in \.bin cannot be imported.*: add: with/,
    { "x.bin": "1" },
  )
  await one(
    'import { b } from "./lib.ts"\nexport default { fetch: b }',
    /^app\.ts:1:10: no matching export in .*lib\.ts" for import "b": check the name/,
    { "lib.ts": "export const a = 1" },
  )
  await one('import "./lib.ts"\nexport default { fetch() {} }', /^lib\.ts:2:6: unexpected end of file: /, {
    "lib.ts": "\nlet =",
  })
  await one("export const a = 1", /^app\.ts:1:1: the application has no default export: write export default/)
  await one("export function fetch() {}", /^app\.ts:1:1: the application exports fetch by itself: write/)
  await one("export default { fetsh() {} }", /^app\.ts:1:1: the application has no fetch function: write/)
  const several = await problems(t, { "app.ts": 'import "./a.ts"\nimport "./b.ts"\nexport default { fetch() {} }' })
  assert.deepEqual(
    several.map((each) => each.slice(0, 11)),
    ["app.ts:1:8:", "app.ts:2:8:"],
  )
})

test("who cannot be loaded aside is not judged: it may need a browser", async (t) => {
  await bundle(t, { "app.ts": "document.title = 'x'\nexport default {}" })
  await bundle(t, { "app.ts": "export default (globalThis as any).navigator.gpu.x" })
})

test("a change is bundled again from what is known, and new files are among its inputs", async (t) => {
  const folder = folderWith(t, { "app.ts": "export default { fetch() {} }", "lib.ts": "export const a = 1" })
  const bundler = await AppBundler.open({ file: join(folder, "app.ts"), platform: "browser", minify: true })
  t.after(() => bundler.close())
  assert.equal((await bundler.bundle()).inputs.length, 1)
  writeFileSync(join(folder, "app.ts"), 'import { a } from "./lib.ts"\nexport default { fetch() { return a } }')
  const { inputs } = await bundler.bundle()
  assert.deepEqual(inputs.map((path) => path.slice(folder.length)).toSorted(), ["/app.ts", "/lib.ts"])
  writeFileSync(join(folder, "lib.ts"), "export const b = 1")
  await assert.rejects(bundler.bundle(), /no matching export/)
  // What a mistake was in is still watched.
  assert.ok(bundler.inputs.includes(join(folder, "lib.ts")))
})
