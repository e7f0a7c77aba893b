/** Holds what npm publishes: it packs, installs in an empty folder, and its command runs there. */

import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { after, before, test } from "node:test"
import { promisify } from "node:util"
import { readSource, root } from "./source-files.ts"

const run = promisify(execFile)
const windows = process.platform === "win32"
/** npm and the package's command find the Node that runs this test first. */
const env: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}`,
  npm_config_loglevel: "error",
  npm_config_update_notifier: "false",
}
const { version } = JSON.parse(readSource("package.json")) as { version: string }

let folder = ""

before(
  async () => {
    folder = await mkdtemp(join(tmpdir(), "rdv-package-"))
    await npm(root, "pack", "--pack-destination", folder)
    const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"))
    assert.ok(tarball !== undefined, "npm pack wrote no tarball")
    await writeFile(join(folder, "package.json"), '{ "name": "elsewhere", "private": true }\n')
    await npm(folder, "install", "--prefer-offline", "--no-audit", "--no-fund", "--omit=dev", `./${tarball}`)
  },
  { timeout: 120_000 },
)

after(() => rm(folder, { recursive: true, force: true }))

test("the package installs elsewhere and its command tells its version", async () => {
  const { stdout } = await npx("--version")
  assert.ok(stdout.includes(version), `"${stdout.trim()}" does not name ${version}`)
})

test("the installed command shows its help", async () => {
  const { stdout } = await npx("--help")
  assert.match(stdout, /\brdv http\b/)
})

test("the installed command runs a load test in threads of its own, and writes a page", async () => {
  const server = createServer((socket) => void socket.on("error", () => undefined).pipe(socket))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  try {
    const page = join(folder, "report.html")
    const plan = ["--count", "20", "--connections", "2", "--workers", "2", "--quiet", "--html", page]
    const { stdout } = await npx("load", `tcp://127.0.0.1:${port}`, ...plan)
    assert.match(stdout, /completed\s+20\b/)
    assert.match(await readFile(page, "utf8"), /^<!doctype html>/i)
  } finally {
    server.close()
  }
})

test("the package's entries can be imported by their names", async () => {
  for (const entry of ["rdv", "rdv/node", "rdv/channels"]) {
    const code = `import * as entry from "${entry}"; console.log(Object.keys(entry).length)`
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", code], { cwd: folder, env })
    assert.ok(Number(stdout) > 0, `${entry} exports nothing`)
  }
})

test("the package holds no tests and no TypeScript sources but declarations", async () => {
  const files = await readdir(join(folder, "node_modules", "rdv"), { recursive: true })
  const strange = files.filter((file) => /\.test\./.test(file) || (file.endsWith(".ts") && !file.endsWith(".d.ts")))
  assert.deepEqual(strange, [])
})

test("compiled files import each other by the names they have in the package", async () => {
  const dist = join(folder, "node_modules", "rdv", "dist")
  const compiled = (await readdir(dist, { recursive: true })).filter((file) => file.endsWith(".js"))
  for (const file of compiled) {
    assert.doesNotMatch(await readFile(join(dist, file), "utf8"), /(?:from|import\()\s*"\.[^"]*\.ts"/, file)
  }
})

function npm(cwd: string, ...args: string[]): Promise<{ stdout: string }> {
  return run(windows ? "npm.cmd" : "npm", args, { cwd, env, shell: windows })
}

function npx(...args: string[]): Promise<{ stdout: string }> {
  return run(windows ? "npx.cmd" : "npx", ["--no-install", "rdv", ...args], { cwd: folder, env, shell: windows })
}
