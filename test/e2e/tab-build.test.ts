/** `rdv tab build` and `publish` from outside: what their users see of mistakes, of a missing bundler and of an away relay. */

import assert from "node:assert/strict"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { pathToFileURL } from "node:url"
import { assertOneLine, runCommand, startRelayCommand, temporaryFolder } from "../kit/command.ts"
import { writeApp } from "../kit/tab-app-text.ts"
import { fetchAt } from "../kit/tab-relay.ts"

const main = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts")

test("a build says what it has made, for people and for programs, and where its servers go public", async () => {
  using folder = temporaryFolder()
  const { path } = folder
  writeApp(path, "Notes")
  const plain = await runCommand(["tab", "build", "app.ts", "-o", "site"], { data: path })
  assert.match(plain.stdout, /^app\.ts is built into site: \d+ files, 1\.\d MiB \(its own part 1\.\d KiB\)\n$/)
  const flags = ["--relay", "https://relay.example", "--name", "notes", "--json"]
  const { stdout } = await runCommand(["tab", "build", "app.ts", "-o", "site", ...flags], { data: path })
  const record = JSON.parse(stdout) as Record<string, unknown>
  assert.deepEqual([record["event"], record["app"], record["folder"]], ["built", "app.ts", "site"])
  assert.deepEqual(JSON.parse(readFileSync(join(path, "site", ".rdv", "tab.json"), "utf8")), {
    app: "notes",
    relay: "wss://relay.example",
    domain: "relay.example",
  })
})

test("each mistake is one line with its mend, and nothing is written", async () => {
  using folder = temporaryFolder()
  const { path } = folder
  writeApp(path, "Notes")
  writeFileSync(join(path, "node.ts"), 'import "node:fs"\nexport default { fetch() {} }\n')
  mkdirSync(join(path, "thesis"))
  writeFileSync(join(path, "thesis", "chapter.txt"), "years of work")
  const refused = async (args: readonly string[], code: number, pattern: RegExp): Promise<void> =>
    assertOneLine(await runCommand(["tab", ...args], { data: path }), code, pattern)
  writeFileSync(join(path, "two.ts"), 'import "./a.ts"\nimport "./b.ts"\nexport default { fetch() {} }\n')
  const several = runCommand(["tab", "build", "two.ts"], { data: path })
  await Promise.all([
    refused(
      ["build", "node.ts"],
      2,
      /^rdv: node\.ts:1:8: "node:fs" is a part of Node, which no browser has: use env\.sql/,
    ),
    refused(["build", "app.ts", "-o", "thesis"], 2, /thesis holds other files than a build: choose another place/),
    refused(["build", "app.ts", "--relay", "unix:/run/x"], 2, /No browser reaches unix:\/run\/x/),
    refused(
      ["publish", "app.ts", "--name", "x", "--relay", "localhost:1", "--wait", "100ms"],
      3,
      /Cannot reach localhost:1/,
    ),
    refused(["dev", "app.ts", "--name", "a.b"], 2, /"a\.b" is no host name/),
    refused(["bild", "app.ts"], 2, /There is no command "tab bild": did you mean rdv tab build\?/),
  ])
  const { code, stderr } = await several
  assert.equal(code, 2)
  assert.deepEqual(
    stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.slice(0, 16)),
    ["rdv: two.ts:1:8:", "rdv: two.ts:2:8:"],
  )
  assert.ok(!existsSync(join(path, "build")))
})

test("without the bundler it is one line that says how to get it", async () => {
  using folder = temporaryFolder()
  writeApp(folder.path, "Notes")
  const script = join(folder.path, "without.mjs")
  writeFileSync(
    script,
    `import { registerHooks } from "node:module"
     registerHooks({ resolve(name, context, next) { if (name === "esbuild") throw new Error("not found"); return next(name, context) } })
     await import(${JSON.stringify(pathToFileURL(main).href)})`,
  )
  const ended = await runCommand(["tab", "build", "app.ts"], { data: folder.path, script })
  assertOneLine(ended, 2, /Applications are bundled by esbuild, which is not installed here: npm install esbuild$/)
})

test("a folder that was built is published as it is; a build that cannot be leaves the published one alone", async () => {
  using folder = temporaryFolder()
  using at = temporaryFolder()
  const { path } = folder
  writeApp(path, "Notes")
  const { relay, address, port } = await startRelayCommand(["--open"], { data: at.path })
  await using _ = relay
  assert.equal((await runCommand(["tab", "build", "app.ts"], { data: path })).code, 0)
  const publish = (what: string) =>
    runCommand(["tab", "publish", what, "--name", "notes", "--relay", address, "--json"], { data: path })
  const first = await publish("build")
  assert.equal(first.code, 0, first.stderr)
  const host = `app.notes.localhost:${port}`
  const served = await fetchAt(port, host, "/app.js")
  assert.equal(served.text, readFileSync(join(path, "build", "app.js"), "utf8"))
  // The relay answers this one itself.
  assert.deepEqual(JSON.parse((await fetchAt(port, host, "/.rdv/tab.json")).text), {
    app: "notes",
    relay: `ws://127.0.0.1:${port}`,
    domain: "localhost",
  })
  writeFileSync(join(path, "title.ts"), "export const title = \n")
  assertOneLine(await publish("app.ts"), 2, /^rdv: title\.ts:2:1: unexpected end of file/)
  assert.equal((await fetchAt(port, host, "/app.js")).text, served.text)
})
