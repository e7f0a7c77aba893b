/** Holds the repository's text: it depends on no machine, and what it promises to tell is there. */

import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { readSource, repositoryFiles, root } from "./source-files.ts"

interface Manifest {
  readonly version: string
  readonly scripts: { readonly [name: string]: string }
  readonly dependencies: { readonly [name: string]: string }
  readonly optionalDependencies: { readonly [name: string]: string }
  readonly devDependencies: { readonly [name: string]: string }
}

interface Lock {
  readonly packages: { readonly [path: string]: { readonly version?: string; readonly resolved?: string } }
}

const manifest = JSON.parse(readSource("package.json")) as Manifest
const lock = JSON.parse(readSource("package-lock.json")) as Lock
const dependencies = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies }
const textFiles = repositoryFiles().filter((file) => !/\.(?:png|gif|ico|woff2?|bin|gz)$/.test(file))

// Written in pieces, so that this file does not contain what it looks for.
const machineWords = [
  ["/wo", "rk/"],
  ["/ro", "ot/"],
  ["registry", ".npmjs"],
  ["registry", ".yarnpkg"],
  ["npm", "mirror"],
].map((pieces) => pieces.join(""))

test("no file names a place of one machine or one registry", () => {
  const found = textFiles.flatMap((file) =>
    readSource(file)
      .split("\n")
      .flatMap((line, at) =>
        machineWords.filter((word) => named(line, word)).map((word) => `${file}:${at + 1} ${word}`),
      ),
  )
  assert.deepEqual(found, [])
})

test("no file holds a private key or a token", () => {
  // Not what only speaks of one, or writes it.
  const secrets = new RegExp(["-----BEGIN [A-Z ]*PRI", "VATE KEY-----\\s+[A-Za-z0-9+/]{20}|_auth", "Token="].join(""))
  const found = textFiles.filter((file) => secrets.test(readSource(file)))
  assert.deepEqual(found, [])
})

test("no file has a merge mark, and every text file ends with a line's end", () => {
  const marked = textFiles.filter((file) => /^(?:<{7} |>{7} )/m.test(readSource(file)))
  assert.deepEqual(marked, [])
  const open = textFiles.filter(
    (file) => /\.(?:ts|mjs|md|json|py|yaml|sh)$/.test(file) && !/(?:^|\n)$/.test(readSource(file)),
  )
  assert.deepEqual(open, [])
})

test("the lock file names no host and fits package.json", () => {
  const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined)
  assert.deepEqual(
    resolved.map(([path]) => path),
    [],
  )
  for (const [name, version] of Object.entries(dependencies)) {
    assert.equal(
      lock.packages[`node_modules/${name}`]?.version,
      version,
      `run npm install: ${name} is locked otherwise`,
    )
  }
})

test("every dependency is pinned and has its line in docs/dependencies.md", () => {
  const text = readSource("docs/dependencies.md")
  for (const [name, version] of Object.entries(dependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+(?:-[a-z0-9]+)?$/, `${name} is not pinned to one version`)
    assert.ok(text.includes(`| \`${name}\` |`), `docs/dependencies.md has no line for ${name}`)
  }
  const listed = [...text.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "")
  assert.deepEqual(
    listed.filter((name) => dependencies[name] === undefined),
    [],
    "listed and not in package.json",
  )
})

test("the change log has an entry for the package's version or for what is coming", () => {
  assert.match(
    readSource("CHANGELOG.md"),
    new RegExp(`^## (?:Unreleased|${manifest.version.replaceAll(".", "\\.")})`, "m"),
  )
})

test("the README shows the commands that a newcomer needs", () => {
  const text = readSource("README.md")
  for (const command of ["npm start", "npm test", "rdv http", "rdv relay"]) {
    assert.ok(text.includes(command), `README.md does not mention "${command}"`)
  }
})

test("links, npm scripts and rdv commands of the documents exist", { timeout: 60_000 }, () => {
  const result = spawnSync(process.execPath, ["scripts/docs.mjs", "--no-run"], { cwd: root, encoding: "utf8" })
  assert.equal(result.status, 0, result.stderr)
})

test("each npm script runs a file that exists", () => {
  for (const [name, command] of Object.entries(manifest.scripts)) {
    const file = /^node (\S+)$/.exec(command)?.[1]
    assert.ok(
      file !== undefined && existsSync(join(root, file)),
      `the script "${name}" does not run one file of the repository`,
    )
  }
})

test("what is called as a program may be executed", { skip: process.platform === "win32" }, () => {
  for (const file of ["bin/rdv", ".ci/run"]) assert.ok((statSync(join(root, file)).mode & 0o111) !== 0, file)
})

/** A path counts only where it starts: `src/work/` names nothing of a machine. */
function named(line: string, word: string): boolean {
  for (let at = line.indexOf(word); at >= 0; at = line.indexOf(word, at + 1)) {
    if (!word.startsWith("/") || at === 0 || !/[\w.*)}\]-]/.test(line.charAt(at - 1))) return true
  }
  return false
}
